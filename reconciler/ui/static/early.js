// Before anything is drawn: the theme that was chosen, else the system's.
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch (error) {
  // storage is forbidden: the system's theme it is
}
// What the list of watchers asks for first is asked for while its programs are on their way.
if (/^\/(watchers\/?)?$/.test(location.pathname)) {
  const outline = document.createElement("link");
  Object.assign(outline, { rel: "preload", as: "fetch", href: "/api/watchers/outline", crossOrigin: "anonymous" });
  document.head.append(outline);
}
