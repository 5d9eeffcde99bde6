// Before anything is drawn: the theme that was chosen, else the system's.
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch (error) {
  // storage is forbidden: the system's theme it is
}
