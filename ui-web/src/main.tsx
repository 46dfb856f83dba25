// SPDX-License-Identifier: Apache-2.0
import { render } from 'preact';
import './styles/tokens.css';
import './styles/base.css';
import './styles/frame.css';
import './styles/call.css';
import './styles/panels.css';
import { App } from './app';

render(<App />, document.getElementById('app')!);
