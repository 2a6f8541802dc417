import streamlit as st

from pages._ui import features_bar, features_drawers, features_map, features_numbers, features_training, guard, shell

shell.require_entrypoint()

ws, api = shell.workspace(), shell.api()

with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
    st.title("Features")
    guess_first = st.toggle("Predict first", key="features_predict", help="Guess which blocks changed before you see it.")
st.caption("What training did inside the model: where its features moved, how far, for which rows, and whether that helped.")
chosen = features_bar.choose(ws)
if chosen is None:
    shell.stop()
with st.spinner("Comparing the two models…", show_time=True):
    space = api.shift(ws, chosen.a, chosen.b, names=chosen.names, rows=chosen.rows, beside=chosen.beside)
if guess_first and not features_numbers.predict_first(space):
    shell.stop()

summary = st.container()
st.subheader("Where did it change?")
lines = st.container()
block = features_bar.block(space)
with summary:
    features_numbers.headline(space, block)
with lines:
    yardstick = api.yardstick(ws, chosen.b.run, rows=chosen.rows)
    features_numbers.where(space, block, yardstick[1] if yardstick else None)
guard.fragment(features_map.panel)(ws, chosen, block)
guard.fragment(features_training.section)(ws, chosen.b, space, block)
features_drawers.section(ws, chosen.b, space, block, api.features_state(ws, chosen.b.run, rows=chosen.rows))
