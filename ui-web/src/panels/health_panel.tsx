// SPDX-License-Identifier: Apache-2.0
import { useEffect, useRef } from 'preact/hooks';
import { count, number } from '../lib/format';
import { engine, sound_devices } from '../model/phone';
import type { SoundDevice } from '../model/tree';
import { Card } from '../parts/card';
import { text } from '../text';

const kBudgetUs = 10_000;

export function HealthPanel() {
  const state = engine.value ?? {};
  const devices = Object.entries(sound_devices.value ?? {});
  const troubled =
    (state.violations ?? 0) > 0 || devices.some(([, device]) => grade_device(device) !== 'good');
  const known = engine.value !== undefined || devices.length > 0;
  const words = text.health;
  return (
    <Card
      heading={words.heading}
      span={3}
      aside={
        known && (
          <span class={`chip ${troubled ? 'fair' : 'good'}`}>
            {troubled ? words.attention : words.all_well}
          </span>
        )
      }
    >
      <CpuBudget />
      <dl class="figures plain">
        <Row term={words.core} value={`${number(state.core_percent, 1)} ${text.unit.percent}`} />
        <Row term={words.late} value={count(state.late)} />
        <Row term={words.xruns} value={count(state.xruns)} />
        <Row term={words.violations} value={count(state.violations)} />
      </dl>
      <div>
        {devices.map(([id, device]) => (
          <Device key={id} id={id} device={device} />
        ))}
      </div>
    </Card>
  );
}

/** How much of the ten milliseconds that a block may take is used. */
function CpuBudget() {
  const cpu = engine.value?.cpu_us ?? {};
  const p50 = useRef<HTMLElement>(null);
  const p99 = useRef<HTMLElement>(null);
  useEffect(() => {
    const scale = (us: number | undefined) => `scaleX(${Math.min(1, (us ?? 0) / kBudgetUs)})`;
    p50.current!.style.transform = scale(cpu.p50);
    p99.current!.style.transform = scale(cpu.p99);
  }, [cpu.p50, cpu.p99]);
  const words = text.health;
  return (
    <div class="budget">
      <small class="soft">{words.cpu}</small>
      <dl class="headline compact">
        <Figure term={words.p50} us={cpu.p50} />
        <Figure term={words.p99} us={cpu.p99} />
        <Figure term={words.max} us={cpu.max} />
      </dl>
      <div class="lane">
        <i class="p99" ref={p99} />
        <i ref={p50} />
      </div>
    </div>
  );
}

const Figure = ({ term, us }: { term: string; us: number | undefined }) => (
  <div>
    <dt>{term}</dt>
    <dd>
      {number(us === undefined ? undefined : us / 1000, 2)}
      <small>{text.unit.ms}</small>
    </dd>
  </div>
);

const Row = ({ term, value }: { term: string; value: string }) => (
  <div>
    <dt>{term}</dt>
    <dd>{value}</dd>
  </div>
);

function Device({ id, device }: { id: string; device: SoundDevice }) {
  const words = text.health;
  const grade = grade_device(device);
  const details = [
    device.ppm !== undefined && words.drift(number(device.ppm, 1)),
    device.latency_ms !== undefined && words.latency(number(device.latency_ms, 1)),
    device.synced !== undefined && (device.synced ? words.synced : words.not_synced),
    (device.xruns ?? 0) > 0 && words.gaps(count(device.xruns)),
  ].filter(Boolean);
  return (
    <div class="device">
      <span class={`dot ${grade}`} />
      <span>{device.name ?? id}</span>
      <span class={`chip ${grade}`}>
        {words.states[device.state ?? ''] ?? device.state ?? text.unknown}
      </span>
      {details.length > 0 && <span class="detail numeric">{details.join(' · ')}</span>}
    </div>
  );
}

function grade_device(device: SoundDevice): 'good' | 'fair' | 'bad' {
  if (device.state === 'unplugged') return 'bad';
  if (device.state !== 'running' || device.synced === false) return 'fair';
  return 'good';
}
