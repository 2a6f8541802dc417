"""What the pages share; a page's own parts are in the folder of its name.

- `sitemap`: the registry of pages. `shell`: what every page needs (guard, workspace, façade, links).
- `guard`: errors in three parts. `server`: what stands between the network and the pages.
- `words`: the glossary. `live`: progress of runs and jobs. `charts`, `point_map`,
  `pictures`: how these are shown. `devices`: the machine and downloads.
- `data/` (Data and Dataset), `train/`, `runs/` (Runs and Run), `compare/`, `features/`: the parts of one page each.

Nothing here computes: it draws what `core.api` and the registries say.
"""
