/** Moves the focus to an element that is about to be shown: Alpine shows it a moment after its state changed. */
export function focusOnceShown(element) {
  if (!element) return;
  requestAnimationFrame(() => setTimeout(() => element.focus(), 0));
}
