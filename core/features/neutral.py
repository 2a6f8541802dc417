"""Short texts about nothing in particular: what a model's activations are on text that no run is about.

Written for Thaw, so that they are free to use. They are part of what `features/lens.json` measures: a change of theirs
raises its version.
"""

from __future__ import annotations

TEXTS: tuple[str, ...] = (
    "The bridge over the river was closed for repairs in spring.",
    "Most bicycles have two wheels and a chain that drives one.",
    "A spoon lay on the table beside an empty cup.",
    "Rain is expected in the north later this week.",
    "She parked the car behind the library and walked home.",
    "Copper conducts heat better than iron at room temperature.",
    "The meeting has been moved to Thursday at half past nine.",
    "Our train was late, so we missed the ferry.",
    "Add the flour slowly and stir until it is smooth.",
    "There are three ways to fold a paper map.",
    "He repaired the clock with a very small screwdriver.",
    "The museum opens at ten and closes before dark.",
    "Some birds leave in autumn and return in April.",
    "You can change the colour of the text in the settings.",
    "The price of oranges rose a little last month.",
    "An old wall surrounds the garden on three sides.",
    "Nobody knew who had left the window open.",
    "The second chapter describes how the canal was built.",
    "Turn left at the bakery and follow the tram line.",
    "Water boils at a lower temperature in the mountains.",
    "This form must be signed by both owners.",
    "The choir practises every Tuesday in the school hall.",
    "A triangle with equal sides has equal angles.",
    "They painted the fence green and the door white.",
    "The battery lasts about six hours in normal use.",
    "My neighbour grows tomatoes on her balcony.",
    "The lighthouse was built from grey stone long ago.",
    "Please keep the receipt until the parcel has arrived.",
    "It took them two days to cross the desert.",
    "The new timetable starts on the first of June.",
    "A good knife should be sharpened now and then.",
    "The results were printed on the last page.",
    "We rented a small boat and rowed to the island.",
    "Every morning the baker sweeps the pavement.",
    "The software checks for updates once a day.",
    "Wool shrinks when it is washed too hot.",
    "The lecture was about the history of glass.",
    "A path leads from the station to the lake.",
    "The committee will vote on the plan tomorrow.",
    "His coat had large pockets and wooden buttons.",
)
FIRST = 5
"""Tokens of each text that are looked at, after the very first: on that one, models rest what they have no use for, and
its activations are many times larger than all others."""
