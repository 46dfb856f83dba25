// SPDX-License-Identifier: Apache-2.0
import { defineConfig } from 'vite';

// The phone serves index.html with `no-cache` and everything under assets/ as immutable, so each
// asset carries a hash in its name. Nothing is inlined: the content security policy of the phone
// allows scripts, styles and pictures from its own address only, data: URLs included.
export default defineConfig({
  base: '/',
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  build: {
    target: 'es2021',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    sourcemap: false,
  },
});
