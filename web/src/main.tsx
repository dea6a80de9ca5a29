// Where the page begins.
import { render } from 'preact';
import './styles/base.css';
import './styles/pages.css';
import './styles/wall.css';
import { App, resize } from './app';
import { startLanguage } from './i18n';
import { start } from './state/session';

resize(0);
await startLanguage();
render(<App />, document.getElementById('app')!);
void start();
