// Runs before the first paint, so that a dark page never flashes white. "auto" follows the system.
const chosen = localStorage.getItem("mchub.theme") || "auto";
const system = matchMedia("(prefers-color-scheme: dark)");

function apply() {
  const theme = localStorage.getItem("mchub.theme") || "auto";
  const dark = theme === "dark" || (theme === "auto" && system.matches);
  document.documentElement.dataset.bsTheme = dark ? "dark" : "light";
  document.documentElement.dataset.themeChoice = theme;
}

system.addEventListener("change", apply);
document.documentElement.dataset.themeChoice = chosen;
apply();
