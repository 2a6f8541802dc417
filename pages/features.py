import streamlit as st

from pages._ui import guard, shell
from pages._ui.features import bar, drawers, guess, maps, numbers, training

shell.require_entrypoint()

ws, api = shell.workspace(), shell.api()

with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
    shell.title("Features")
    guess_first = st.toggle("Predict first", key="features_predict",
                            help="Guess which blocks changed before you see it.")
st.caption("What training did inside the model: where its features moved, how far, for which rows, and whether that "
           "helped.")
chosen = bar.choose(ws)
if chosen is None:
    shell.stop()
with st.spinner("Comparing the two models…", show_time=True):
    compared = api.features.compare(ws, chosen.a, chosen.b, names=chosen.names, rows=chosen.rows, second=chosen.second)
if guess_first and guess.made(chosen.a, chosen.b) is None:
    guess.ask([block.name for block in compared.shift.blocks], chosen.a, chosen.b)
    shell.stop()
guess.judged(compared, chosen.a, chosen.b)

summary = st.container()
st.header("Where did it change?")
lines = st.container()
block = bar.block(compared)
with summary:
    numbers.headline(compared, block)
with lines:
    seeds = api.features.seed_similarity(ws, chosen.b.run, rows=chosen.rows)
    numbers.where(compared, block, seeds[1] if seeds else None)
guard.fragment(maps.panel)(ws, chosen, block)
guard.fragment(training.section)(ws, chosen.b.run, compared, block)
drawers.section(ws, chosen.b.run, compared, block, api.features.state(ws, chosen.b.run, rows=chosen.rows))
