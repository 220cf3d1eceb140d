// Runs before the page is drawn, so that a chosen theme doesn't flash.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem('theme');
  } catch {
    // Storage is forbidden: the theme is the system's.
  }
  if (theme === 'light' || theme === 'dark')
    document.documentElement.dataset.theme = theme;
})();
