// The button that chooses between light, dark and what the system says.

const ORDER = ["auto", "light", "dark"];
const WORDS = { auto: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" };

export function themeChoice() {
  return {
    choice: document.documentElement.dataset.themeChoice || "auto",
    isDark: document.documentElement.dataset.bsTheme === "dark",
    get label() {
      return WORDS[this.choice];
    },
    next() {
      this.choice = ORDER[(ORDER.indexOf(this.choice) + 1) % ORDER.length];
      localStorage.setItem("mchub.theme", this.choice);
      const dark = this.choice === "dark" || (this.choice === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
      document.documentElement.dataset.bsTheme = dark ? "dark" : "light";
      document.documentElement.dataset.themeChoice = this.choice;
      this.isDark = dark;
    },
  };
}
