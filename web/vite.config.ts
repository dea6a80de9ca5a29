// How the page is built: one bundle per view, no inline scripts or styles, so that the server's
// Content-Security-Policy (`default-src 'self'`) holds without exceptions.
import { defineConfig } from 'vitest/config';

// The development server's answers: dev/mock.mjs, or a real `vitrail wall`.
const server = 'http://127.0.0.1:8790';

export default defineConfig({
  base: './',
  resolve: {
    alias: { react: 'preact/compat', 'react-dom': 'preact/compat' },
  },
  build: {
    outDir: 'dist',
    target: 'es2022',
    // A data: URL in a style sheet is an image, which the policy allows; a script never becomes one.
    assetsInlineLimit: 1024,
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
  server: { host: '127.0.0.1', port: 5173, proxy: { '/api': server } },
  test: { include: ['tests/**/*.test.ts'], environment: 'node' },
});
