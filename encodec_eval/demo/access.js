// What Gradio 6 leaves out for keyboards and screen readers: radios of a group share a name, so that arrow keys move in
// it; groups have names; accordions say whether they are open.
if (!globalThis.accessObserver) {
  const repair = () => {
    document.querySelectorAll("fieldset").forEach((group, i) => {
      group.querySelectorAll("input[type=radio]").forEach((radio) => (radio.name = `group-${i}`));
      const title = group.querySelector("[data-testid=block-info]")?.textContent.trim() || group.id.replaceAll("-", " ");
      if (title && group.getAttribute("aria-label") !== title) group.setAttribute("aria-label", title);
    });
    document.querySelectorAll("button.label-wrap").forEach((button) => {
      const open = String(button.classList.contains("open"));
      if (button.getAttribute("aria-expanded") !== open) button.setAttribute("aria-expanded", open);
    });
  };
  globalThis.accessObserver = new MutationObserver(repair);
  accessObserver.observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["class"] });
  repair();
}
