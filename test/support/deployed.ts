import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

/** What is in `deploy/` for Prometheus and Grafana, as far as the tests look. */

export function deployedPath(name: string): string {
  return fileURLToPath(new URL(`../../deploy/${name}`, import.meta.url));
}

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}

export function alertRules(): readonly AlertRule[] {
  const file = yamlOf('alerts.yaml') as { readonly groups: readonly { readonly rules: AlertRule[] }[] };
  return file.groups.flatMap(({ rules }) => rules);
}

/** One look of promtool's unit tests at an alert. */
export interface AlertCheck {
  readonly alertname: string;
  readonly exp_alerts: readonly unknown[];
}

export function alertChecks(): readonly AlertCheck[] {
  const file = yamlOf('alerts.test.yaml') as {
    readonly tests: readonly { readonly alert_rule_test: readonly AlertCheck[] }[];
  };
  return file.tests.flatMap((each) => each.alert_rule_test);
}

export interface Target {
  readonly expr: string;
  readonly legendFormat: string;
  readonly datasource: { readonly uid: string };
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly uid: string };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly Target[];
}

export interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
}

export function dashboard(): Dashboard {
  return JSON.parse(readFileSync(deployedPath('grafana/onceward.json'), 'utf8')) as Dashboard;
}

function yamlOf(name: string): unknown {
  return parse(readFileSync(deployedPath(name), 'utf8'));
}
