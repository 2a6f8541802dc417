"""Trees of messages as conversations: of several replies to a message the best is followed.

OpenAssistant's trees (`prompt` with `replies` inside replies) and its messages one a row, and what ChatGPT (`mapping`)
and Claude (`chat_messages`) export.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from core.data.readers.json_shapes import Item

RANKED = "of several replies to a message the best-ranked is learned, the first where none has a rank"
"""What `told` counts the other replies by."""
_MESSAGE = frozenset({"message_id", "parent_id", "text", "role"})
_ASKS = ("prompter", "user", "human")
_ABORTED = "aborted"
_NO_PARENT = ("", "none", "nan", "null")
Told = Counter[str]
"""How one of several answers was chosen -> answers that were not."""


def is_tree(item: Mapping[str, Any]) -> bool:
    """Whether an object is a tree of OpenAssistant."""
    root = item.get("prompt")
    return isinstance(root, dict) and "role" in root and isinstance(root.get("replies"), list)


def is_message(item: Mapping[str, Any]) -> bool:
    """Whether an object is one message of a tree."""
    return item.keys() >= _MESSAGE


def is_export(item: Mapping[str, Any]) -> bool:
    """Whether an object is a conversation as ChatGPT exports it."""
    nodes = item.get("mapping")
    return isinstance(nodes, dict) and bool(nodes) and all(
        isinstance(node, dict) and "message" in node and "parent" in node for node in nodes.values())


def is_chat(item: Mapping[str, Any]) -> bool:
    """Whether an object is a conversation as Claude exports it."""
    said = item.get("chat_messages")
    return isinstance(said, list) and all(isinstance(turn, dict) and "sender" in turn for turn in said)


def of_trees(items: Iterable[Item], told: Told) -> Iterator[Item]:
    """A row with `messages` a tree; trees that were given up are left out."""
    for item, problem in items:
        if problem or not isinstance(item, dict) or not is_tree(item):
            yield item, problem
        elif str(item.get("tree_state") or "").startswith(_ABORTED):
            yield None, f"its tree is in the state {str(item['tree_state'])[:40]!r}"
        else:
            row = {key: value for key, value in item.items() if key != "prompt"}
            yield {**row, "lang": item["prompt"].get("lang"), "messages": _best(item["prompt"], told)}, ""


def of_messages(items: Iterable[Item], told: Told) -> Iterator[Item]:
    """A row with `messages` a tree, of rows that are single messages; those whose parent is not there are left out."""
    nodes: dict[str, dict[str, Any]] = {}
    for item, problem in items:
        if problem or not isinstance(item, dict) or not is_message(item):
            yield item, problem
        elif str(item["message_id"]) in nodes:
            yield None, f"the message {str(item['message_id'])[:40]!r} comes a second time"
        else:
            nodes[str(item["message_id"])] = {**item, "replies": []}
    roots = []
    for node in nodes.values():
        if str(node["parent_id"]).lower() in _NO_PARENT:
            roots.append(node)
        elif (parent := nodes.get(str(node["parent_id"]))) is not None:
            parent["replies"].append(node)
    trees = ({"message_tree_id": node.get("message_tree_id"), "tree_state": node.get("tree_state"), "prompt": node}
             for node in roots)
    yield from of_trees(((tree, "") for tree in trees), told)
    for _ in range(len(nodes) - _size(roots)):
        yield None, "no way leads from it to a first message: one that it answers is not in the file"


def _size(roots: Iterable[Mapping[str, Any]]) -> int:
    """How many messages the trees have."""
    waiting, count = list(roots), 0
    while waiting:
        node = waiting.pop()
        count += 1
        waiting += node["replies"]
    return count


def _best(root: Mapping[str, Any], told: Told) -> list[dict[str, Any]]:
    """The turns from the root along the best replies; a last question that nobody answered is not taken."""
    turns: list[dict[str, Any]] = []
    node: Mapping[str, Any] | None = root
    while node is not None:
        turns.append({"role": node.get("role"), "content": node.get("text")})
        found = node.get("replies")
        replies = [reply for reply in found if isinstance(reply, dict) and not reply.get("deleted")] if isinstance(
            found, list) else []
        told[RANKED] += max(0, len(replies) - 1)
        node = min(replies, key=_place, default=None)
    return turns[:-1] if len(turns) > 1 and turns[-1]["role"] in _ASKS else turns


def _place(reply: Mapping[str, Any]) -> tuple[bool, bool, float]:
    """What is smallest for the best reply: answered questions before others, then by rank."""
    rank = reply.get("rank")
    ranked = isinstance(rank, (int, float))
    return (reply.get("role") in _ASKS and not reply.get("replies"), not ranked,
            float(rank) if isinstance(rank, (int, float)) else 0.0)


def of_exports(items: Iterable[Item], told: Told) -> Iterator[Item]:
    """A row with title and `messages` a conversation of ChatGPT: the branch that was shown last."""
    for item, problem in items:
        if problem or not isinstance(item, dict) or not is_export(item):
            yield item, problem
        else:
            yield {"title": item.get("title"), "messages": _shown(item["mapping"], item.get("current_node"))}, ""


def of_chats(items: Iterable[Item], told: Told) -> Iterator[Item]:
    """A row with `messages` a conversation of Claude."""
    for item, problem in items:
        if problem or not isinstance(item, dict) or not is_chat(item):
            yield item, problem
        else:
            turns = [{"role": turn["sender"], "content": turn.get("content") or turn.get("text")}
                     for turn in item["chat_messages"]]
            yield {**{key: value for key, value in item.items() if key != "chat_messages"}, "messages": turns}, ""


def _shown(nodes: Mapping[str, Any], last: Any) -> list[dict[str, Any]]:
    """The turns from the root to the node that was shown last."""
    at = str(last) if str(last) in nodes else list(nodes)[-1]
    turns: list[dict[str, Any]] = []
    seen: set[str] = set()
    while at in nodes and at not in seen:
        seen.add(at)
        if (turn := _turn(nodes[at]["message"])) is not None:
            turns.append(turn)
        at = str(nodes[at]["parent"])
    turns.reverse()
    return turns[:-1] if len(turns) > 1 and turns[-1]["role"] in _ASKS else turns


def _turn(message: Any) -> dict[str, Any] | None:
    """A message of an export as a turn; None for what was not said: empty system messages, settings of the user."""
    if not isinstance(message, dict):
        return None
    author, content = message.get("author"), message.get("content")
    role = author.get("role") if isinstance(author, dict) else None
    content = content if isinstance(content, dict) else {}
    parts = content.get("parts")
    said = parts if isinstance(parts, list) else [content.get("text") or ""]
    silent = all(isinstance(part, str) and not part.strip() for part in said)
    if content.get("content_type") == "user_editable_context" or (role == "system" and silent):
        return None
    if role == "assistant" and message.get("recipient", "all") != "all":
        role = "tool_call"
    return {"role": role, "content": said}
