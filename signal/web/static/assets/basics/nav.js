/** Passes the page's key on to the other page's link. */

import { beside } from './server.js';

for (const link of document.querySelectorAll('a[data-beside]')) {
  const name = link.getAttribute('data-beside') ?? '';
  link.setAttribute('href', beside(name, location.href).href);
}
