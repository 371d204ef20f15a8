// Judges audit records by the field list that Elastic publishes with its type definitions: every field has to be in it,
// of its type, with an allowed value, and event.type has to go with event.category. Lines in and out as in lines.py.

import { createInterface } from 'node:readline';
import ecs from '@elastic/ecs';

const { EcsFlat, EcsVersion } = ecs;
const OWN = 'genesys_ws_auth';
const OF_TYPE = {
  keyword: (value) => typeof value === 'string',
  constant_keyword: (value) => typeof value === 'string',
  match_only_text: (value) => typeof value === 'string',
  text: (value) => typeof value === 'string',
  wildcard: (value) => typeof value === 'string',
  long: (value) => Number.isSafeInteger(value),
  date: (value) => typeof value === 'string' && new Date(value).toISOString() === value,
};

/** `[path, value]` of every leaf; lists are leaves. */
function* leaves(value, path = '') {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    yield [path, value];
    return;
  }
  for (const [name, inner] of Object.entries(value)) yield* leaves(inner, path ? `${path}.${name}` : name);
}

function* problemsOfField(path, value) {
  const field = EcsFlat[path];
  if (!field) return yield `${path} is no field`;
  const isList = field.normalize.includes('array');
  if (isList !== Array.isArray(value)) return yield `${path} is ${isList ? 'not ' : ''}a list`;
  for (const one of isList ? value : [value]) {
    if (!OF_TYPE[field.type]?.(one)) yield `${path} is no ${field.type}: ${JSON.stringify(one)}`;
    if (field.allowed_values && !field.allowed_values.some(({ name }) => name === one)) yield `${path} may not be ${one}`;
  }
}

function* problems(event) {
  if (event.ecs?.version !== EcsVersion) yield `another version: ${event.ecs?.version}, not ${EcsVersion}`;
  for (const path of ['@timestamp', 'ecs.version', 'event.kind', 'event.category', 'event.type', 'event.outcome']) {
    if (![...leaves(event)].some(([known]) => known === path)) yield `${path} is missing`;
  }
  for (const [path, value] of leaves(event)) {
    if (path !== OWN && !path.startsWith(`${OWN}.`)) yield* problemsOfField(path, value);
  }
  for (const category of event.event.category) {
    const { expected_event_types: types } = EcsFlat['event.category'].allowed_values.find(({ name }) => name === category);
    for (const type of event.event.type) if (!types.includes(type)) yield `event.type ${type} does not go with ${category}`;
  }
}

for await (const text of createInterface({ input: process.stdin })) {
  let judged;
  try {
    judged = { problems: [...problems(JSON.parse(JSON.parse(text).line))] };
  } catch (error) {
    judged = { problems: [String(error)] };
  }
  console.log(`JUDGED ${JSON.stringify(judged)}`);
}
