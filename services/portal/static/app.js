// Comfort only: without this file every action works.
function count() {
  document.querySelectorAll('[data-count]').forEach((out) => {
    out.textContent = document.querySelectorAll(out.dataset.count + ':checked').length;
  });
}
document.addEventListener('click', (event) => {
  if (event.target.closest('[data-print]')) window.print();
});
document.addEventListener('change', count);
document.addEventListener('keydown', (event) => {
  const open = event.key === 'Escape' && event.target.closest('details.top__item[open]');
  if (open) {
    open.open = false;
    open.querySelector('summary').focus();
  }
});
document.querySelectorAll('[data-scripted]').forEach((part) => { part.hidden = false; });
const first = document.querySelector('[data-focus]');
if (first) first.focus();
count();
