/** Adds the key of the page's URL to the links to the other pages. */

import { beside } from './server.js';

for (const link of document.querySelectorAll('a[data-beside]')) {
  const name = link.getAttribute('data-beside') ?? '';
  link.setAttribute('href', beside(name, location.href).href);
}
