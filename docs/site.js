// What the theme adds to a page while it is read, made fit for screen readers and keyboards: the box
// around a button to copy is no landmark, and what scrolls can be reached.
function mend() {
  for (const box of document.querySelectorAll(".md-code__nav")) box.setAttribute("role", "none");
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap, math[display=block]"))
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
}

mend();
new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
addEventListener("resize", mend);
