"""Arrays in, plotly figures out: one question a chart, its answer in the title, no I/O and no torch."""
