// A button that copies what stands in the element named by `data-copy` (an id), or its own `data-copy-text`.

export function copyButton() {
  return {
    copied: false,
    async copy() {
      const source = document.getElementById(this.$el.dataset.copy || "");
      const text = this.$el.dataset.copyText || source?.value || source?.textContent || "";
      if (!(await writeText(text.trim()))) return;
      this.copied = true;
      setTimeout(() => (this.copied = false), 2000);
    },
  };
}

/** Copies, also where the page has no secure origin and the browser therefore no clipboard to offer. */
export async function writeText(text) {
  if (navigator.clipboard && window.isSecureContext) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return false;
    }
  }
  const holder = Object.assign(document.createElement("textarea"), { value: text, className: "visually-hidden" });
  document.body.append(holder);
  holder.select();
  const done = document.execCommand("copy");
  holder.remove();
  return done;
}
