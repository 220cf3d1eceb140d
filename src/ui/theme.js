// Runs before the page is drawn, so that no other theme flashes: the chosen one, or else the system's.
(() => {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const apply = () => {
    let theme = null;
    try {
      theme = localStorage.getItem('theme');
    } catch {
      // Storage is forbidden: the theme is the system's.
    }
    if (theme !== 'light' && theme !== 'dark')
      theme = dark.matches ? 'dark' : 'light';
    document.documentElement.dataset.theme = theme;
  };
  dark.addEventListener('change', apply);
  apply();
})();
