// What belongs to the page and not to one view: the skip link, and Esc for Stop.

function skipToPicture(event) {
  const link = event.target.closest && event.target.closest("a.lv-skip");
  if (!link) return;
  event.preventDefault();
  const stage = [...document.querySelectorAll(".lv-stage")].find((item) => item.clientWidth > 0);
  if (stage) stage.focus();
}

function stopOnEscape(event) {
  if (event.key !== "Escape") return;
  const stop = [...document.querySelectorAll("button.job-stop")].find((item) => item.clientWidth > 0 && !item.disabled);
  if (stop) stop.click();
}

/** Listens once for the whole page. */
export function listenToPage() {
  document.addEventListener("click", skipToPicture);
  document.addEventListener("keydown", stopOnEscape);
}
