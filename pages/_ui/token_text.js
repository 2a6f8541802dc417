// A text in stretches, each shown by kind. Every character is put there as text, none as markup.

const TAGS = { taught: "mark", new: "mark", cut: "del", gone: "del" };

export default function ({ data, parentElement }) {
  const legend = parentElement.querySelector(".legend"), text = parentElement.querySelector(".text");
  legend.replaceChildren(...data.legend.map((entry) => {
    const item = document.createElement("li");
    item.append(stretch(entry.kind, entry.kind), ` ${entry.words}`);
    return item;
  }));
  text.setAttribute("aria-label", data.label);
  text.replaceChildren(...data.pieces.map((piece) => stretch(piece.kind, piece.text)));
}

function stretch(kind, words) {
  const element = document.createElement(TAGS[kind] ?? "span");
  element.className = kind;
  words.split("\n").forEach((line, i) => {
    if (i) {  // a line break is a token like others: seen, and left out of what is copied
      const end = document.createElement("span");
      end.className = "end";
      end.ariaHidden = "true";
      end.textContent = "↵";
      element.append(end, "\n");
    }
    element.append(line);
  });
  return element;
}
