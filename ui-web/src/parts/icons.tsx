// SPDX-License-Identifier: Apache-2.0
import type { ComponentChildren } from 'preact';

/** Drawn on a 24-unit grid with a 2-unit line; decoration only, the words stand beside them. */
function Icon({ size = 20, children }: { size?: number | undefined; children: ComponentChildren }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="2"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      {children}
    </svg>
  );
}

interface Props {
  size?: number;
}

export const MicIcon = ({ size }: Props) => (
  <Icon size={size}>
    <rect x="9" y="3" width="6" height="11" rx="3" />
    <path d="M5 11a7 7 0 0 0 14 0M12 18v3" />
  </Icon>
);

export const MicOffIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d="M15 10.5V6a3 3 0 0 0-5.7-1.3M9 9v2a3 3 0 0 0 4.6 2.5M5 11a7 7 0 0 0 11.2 5.6M19 11a7 7 0 0 1-.6 2.8M12 18v3M4 4l16 16" />
  </Icon>
);

export const HangUpIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d="M4 15.5v-2.2C4 11 8 9.5 12 9.5s8 1.5 8 3.8v2.2a1 1 0 0 1-1.2 1l-2.8-.6a1 1 0 0 1-.8-1v-1.6a12 12 0 0 0-6.4 0v1.6a1 1 0 0 1-.8 1l-2.8.6A1 1 0 0 1 4 15.5z" />
  </Icon>
);

export const LockIcon = ({ size }: Props) => (
  <Icon size={size}>
    <rect x="5" y="11" width="14" height="9" rx="2" />
    <path d="M8 11V8a4 4 0 0 1 8 0v3" />
  </Icon>
);

export const WarningIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d="M12 4 2.8 19.5h18.4zM12 10v4.5M12 17.2v.1" />
  </Icon>
);

export const DoneIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d="m5 12.5 4.5 4.5L19 7.5" />
  </Icon>
);

export const SpeakerIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d="M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 9a4 4 0 0 1 0 6M18 6.5a7.5 7.5 0 0 1 0 11" />
  </Icon>
);

export const PlayIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d="M7 5v14l11-7z" fill="currentColor" />
  </Icon>
);

export const PauseIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d="M8 5v14M16 5v14" stroke-width="3" />
  </Icon>
);

export const PlusIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d="M12 6v12M6 12h12" />
  </Icon>
);

export const MinusIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d="M6 12h12" />
  </Icon>
);

export const RoomIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d="M4 20V13M9 20V8M14 20V4M19 20v-9" />
  </Icon>
);

export const SettingsIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d="M4 7h9M17 7h3M4 17h3M11 17h9" />
    <circle cx="15" cy="7" r="2" />
    <circle cx="9" cy="17" r="2" />
  </Icon>
);

export const SignOutIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d="M14 4H6a1 1 0 0 0-1 1v14a1 1 0 0 0 1 1h8M10 12h10M17 8.5l3.5 3.5-3.5 3.5" />
  </Icon>
);

/** The mark of Conclave: a ring of microphones and a talker. */
export const Mark = ({ size }: Props) => (
  <svg width={size ?? 28} height={size ?? 28} viewBox="0 0 32 32" aria-hidden="true">
    <g fill="none" stroke="currentColor" stroke-width="2.6" stroke-linecap="round">
      <path d="M23.8 8.2a11 11 0 1 0 0 15.6" />
      <path d="M19.6 12.4a5.1 5.1 0 1 0 0 7.2" />
    </g>
    <circle cx="27" cy="16" r="2.4" fill="currentColor" />
  </svg>
);
