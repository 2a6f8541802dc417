import streamlit as st

from pages._ui import guard, shell, sticky
from pages._ui.features import bar, cards, drawers, guess, maps, numbers, training

shell.require_entrypoint()

ws, api = shell.workspace(), shell.api()

with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
    shell.title("Features")
    guess_first = st.toggle("Predict first", key="features_predict",
                            help="Guess which blocks changed before you see it.")
summary = st.container()
controls = st.container(key="features_bar")
with controls:
    chosen = bar.choose(ws)
    sticky.style(str(st.session_state.get("features_block", "")))
if chosen is None:
    shell.stop()
with st.spinner("Comparing the two models…", show_time=True):
    compared = chosen.compared(ws, api)
if guess_first and guess.made(chosen.a, chosen.b) is None:
    guess.ask([block.name for block in compared.shift.blocks], chosen.a, chosen.b)
    shell.stop()
with controls:
    look = bar.look(compared)
with summary:
    guess.judged(compared, chosen.a, chosen.b)
    numbers.headline(compared, look.block)

see, measure = st.tabs(["See it", "Measure it"], key="features_layer", on_change="rerun")
if see.open:
    with see:
        guard.fragment(maps.panel)(ws, chosen, look)
if measure.open:
    with measure:
        numbers.tiles(compared, look.block)
        st.header("Where did it change?")
        seeds = api.features.seed_similarity(ws, chosen.b.run, rows=chosen.rows)
        numbers.where(compared, look.block, seeds[1] if seeds else None)
        cards.histogram(compared, look.block)
        guard.fragment(training.section)(ws, chosen, look.block)
        drawers.section(ws, chosen, compared, look.block,
                        api.features.state(ws, chosen.b.run, rows=chosen.rows))
