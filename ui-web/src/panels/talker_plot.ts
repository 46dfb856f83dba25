// SPDX-License-Identifier: Apache-2.0
import type { Trail } from '../lib/trail';
import type { Mic } from '../model/tree';
import type { Palette } from '../parts/canvas';

export interface TalkerScene {
  mics: Mic[];
  /** Level of each microphone as a share of the meter, 0 … 1. */
  levels: number[];
  azimuth_deg: number;
  /** 0 … 1; 0 draws no talker. */
  activity: number;
  trail: Trail;
  now_ms: number;
}

// Radii as shares of the plot's radius. The ring is drawn larger than life so that its
// microphones can be told apart; satellites keep their direction, and their order of distance.
const kRing = 0.26;
const kSatelliteNear = 0.44;
const kSatelliteFar = 0.66;
const kRim = 0.82;
const kTrailEnd = 0.5;
const kLabel = 0.93;
const kBeamHalfDeg = 11;

const radians = (deg: number) => (deg * Math.PI) / 180;

/**
 * The room from above, azimuth 0 to the right and counter-clockwise like the array's own
 * coordinates. The newest talker stands at the rim; older places sink towards the middle.
 */
export function draw_talker_plot(
  context: CanvasRenderingContext2D,
  size: number,
  scene: TalkerScene,
  colours: Palette,
): void {
  const middle = size / 2;
  const radius = size / 2;
  const at = (deg: number, share: number): [number, number] => [
    middle + Math.cos(radians(deg)) * share * radius,
    middle - Math.sin(radians(deg)) * share * radius,
  ];
  const disc = (x: number, y: number, r: number) => {
    context.beginPath();
    context.arc(x, y, r, 0, 2 * Math.PI);
  };
  context.clearRect(0, 0, size, size);

  // Grid and degrees.
  context.lineWidth = 1;
  context.strokeStyle = colours.grid;
  for (const share of [kTrailEnd, kRim]) {
    disc(middle, middle, share * radius);
    context.stroke();
  }
  context.fillStyle = colours.ink_soft;
  context.font = `12px ${colours.font}`;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  for (let deg = 0; deg < 360; deg += 15) {
    const major = deg % 45 === 0;
    context.beginPath();
    context.moveTo(...at(deg, major ? kRing + 0.06 : kRim - 0.025));
    context.lineTo(...at(deg, kRim));
    context.stroke();
    if (major) context.fillText(`${deg}°`, ...at(deg, kLabel));
  }

  // The beam that points at the talker.
  if (scene.activity > 0) {
    const angle = -radians(scene.azimuth_deg);
    const half = radians(kBeamHalfDeg);
    const beam = context.createRadialGradient(
      middle,
      middle,
      kRing * radius,
      middle,
      middle,
      kRim * radius,
    );
    beam.addColorStop(0, 'transparent');
    beam.addColorStop(1, colours.talker);
    context.globalAlpha = 0.28 * scene.activity;
    context.fillStyle = beam;
    context.beginPath();
    context.moveTo(middle, middle);
    context.arc(middle, middle, kRim * radius, angle - half, angle + half);
    context.fill();
  }

  // Where the talk was.
  context.fillStyle = colours.talker;
  for (const point of scene.trail.points) {
    const age = Math.min(1, (scene.now_ms - point.at_ms) / scene.trail.length_ms);
    const share = kRim - age * (kRim - kTrailEnd);
    context.globalAlpha = 0.75 * (1 - age) * point.activity;
    disc(...at(point.azimuth_deg, share), 1.5 + 2 * (1 - age));
    context.fill();
  }
  context.globalAlpha = 1;

  draw_microphones(context, scene, colours, at, radius);

  if (scene.activity > 0) {
    const [x, y] = at(scene.azimuth_deg, kRim);
    context.globalAlpha = 0.25 + 0.75 * scene.activity;
    context.fillStyle = colours.talker;
    disc(x, y, 5 + 5 * scene.activity);
    context.fill();
    context.globalAlpha = 1;
    context.lineWidth = 2;
    context.strokeStyle = colours.surface;
    context.stroke();
  }
}

function draw_microphones(
  context: CanvasRenderingContext2D,
  scene: TalkerScene,
  colours: Palette,
  at: (deg: number, share: number) => [number, number],
  radius: number,
): void {
  const placed = scene.mics.map((mic) => ({
    mic,
    distance: Math.hypot(mic.x ?? 0, mic.y ?? 0),
    deg: (Math.atan2(mic.y ?? 0, mic.x ?? 0) * 180) / Math.PI,
  }));
  const ring = placed.filter((p) => p.mic.kind !== 'satellite');
  const ring_metres = Math.max(...ring.map((p) => p.distance), 1e-6);
  const far_metres = Math.max(...placed.map((p) => p.distance), 1e-6);

  context.lineWidth = 1.5;
  context.strokeStyle = colours.line;
  context.beginPath();
  context.arc(...at(0, 0), kRing * radius, 0, 2 * Math.PI);
  context.stroke();

  placed.forEach(({ mic, distance, deg }, index) => {
    const satellite = mic.kind === 'satellite';
    if (satellite && mic.x === undefined && mic.y === undefined) return;
    const share = satellite
      ? kSatelliteNear + (kSatelliteFar - kSatelliteNear) * (distance / far_metres)
      : kRing * Math.min(1, distance / ring_metres);
    const [x, y] = at(deg, share);
    const level = scene.levels[index] ?? 0;
    const half = satellite ? 6.5 : 5;
    const outline = () => {
      context.beginPath();
      if (satellite) context.roundRect(x - half, y - half, 2 * half, 2 * half, 3);
      else context.arc(x, y, half, 0, 2 * Math.PI);
    };
    outline();
    context.fillStyle = colours.surface;
    context.fill();
    context.globalAlpha = 0.2 + 0.8 * level;
    context.fillStyle = colours.plot;
    context.fill();
    context.globalAlpha = 1;
    context.strokeStyle = colours.plot;
    outline();
    context.stroke();
    if (satellite) {
      context.lineWidth = 3;
      context.strokeStyle = colours.surface;
      context.strokeText(mic.label ?? '', x, y + 16);
      context.lineWidth = 1.5;
      context.fillStyle = colours.ink_soft;
      context.fillText(mic.label ?? '', x, y + 16);
    }
  });
}
