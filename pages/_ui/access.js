// What Streamlit's own parts leave out for keyboards, screen readers and phones; set once a tab, for every page.

const PHONE = 768  // pixels: below this Streamlit lays the menu over the page

/** A help mark in the label of a check box or toggle explains; it does not tick. By touch every help mark opens. */
function mendHelp() {
  let open = null
  const hover = (mark, over) => {
    for (const [kind, Kind] of [["pointer", PointerEvent], ["mouse", MouseEvent]]) {
      mark.dispatchEvent(new Kind(kind + (over ? "over" : "out"), { bubbles: true, pointerType: "mouse" }))
    }
  }
  const markOf = (event) => event.target.closest?.("[data-testid=stTooltipIcon]:has(button[aria-label^=Help])")
    ?.querySelector("[data-testid=stTooltipHoverTarget]")
  for (const kind of ["pointerdown", "pointerup", "mousedown", "mouseup", "touchstart", "touchend", "click"]) {
    document.addEventListener(kind, (event) => {
      const mark = markOf(event)
      if (mark?.closest("label")) {
        event.stopPropagation()
        if (kind === "click") event.preventDefault()
      }
      if (kind !== "click" || event.pointerType !== "touch") return
      if (open) hover(open, false)
      open = mark && mark !== open ? mark : null
      if (open) hover(open, true)
    }, { capture: true })
  }
}

/** On a phone the menu closes once a page has been chosen from it. */
function closeMenuAfterChoice() {
  document.addEventListener("click", (event) => {
    if (window.innerWidth >= PHONE || !event.target.closest?.("[data-testid=stSidebarNavLink]")) return
    setTimeout(() => document.querySelector("[data-testid=stSidebarCollapseButton] button")?.click(), 150)
  })
}

/** An icon beside words says nothing that the words do not; its name (`ac_unit icon`) is not read out. */
function silenceIcons() {
  for (const icon of document.querySelectorAll('span[role="img"][aria-label$=" icon"]:not([aria-hidden])')) {
    const around = icon.closest("p, button, a, label, li, h1, h2, h3")
    if (around && around.textContent.trim() !== icon.textContent.trim()) set(icon, "aria-hidden", "true")
  }
}

/** Parts that scroll can be reached and moved with the keyboard. */
function reachScrollers() {
  for (const part of document.querySelectorAll('[data-testid="stCode"] pre, [data-testid="stTable"], .stVerticalBlock[height]')) {
    if (part.scrollHeight > part.clientHeight + 1 || part.scrollWidth > part.clientWidth + 1) set(part, "tabindex", "0")
  }
}

/** What a page adds to its own address by itself is no step of its own: Back leaves the page. */
function keepHistoryShort() {
  const push = history.pushState.bind(history)
  history.pushState = (state, title, url) => {
    const next = new URL(url ?? location.href, location.href)
    const kept = [...new URLSearchParams(location.search)].every(([name, value]) => next.searchParams.get(name) === value)
    if (next.pathname === location.pathname && kept) history.replaceState(state, title, url)
    else push(state, title, url)
  }
}

function set(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value)
}

export default function () {
  if (window.thawAccess) return
  window.thawAccess = true
  mendHelp()
  closeMenuAfterChoice()
  keepHistoryShort()
  let waiting = false
  const mend = () => { waiting = false; silenceIcons(); reachScrollers() }
  new MutationObserver(() => {
    if (!waiting) { waiting = true; setTimeout(mend, 100) }
  }).observe(document.body, { childList: true, subtree: true })
  mend()
}
