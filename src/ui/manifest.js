// Manifests, indexes and configurations, as the screens of an image need them.

import {json, pull, request} from './api.js';
import {words} from './dom.js';

const CONFIG_MAX = 4 << 20;

export const accept = {
  Accept: ['application/vnd.oci.image.index.v1+json', 'application/vnd.oci.image.manifest.v1+json',
    'application/vnd.docker.distribution.manifest.list.v2+json', 'application/vnd.docker.distribution.manifest.v2+json'].join(', '),
};

export const isIndex = (m) => Array.isArray(m.manifests);

export function platformName(p) {
  return p ? [p.os, p.architecture, p.variant].filter(Boolean).map(words).join('/') : '';
}

// Tools store attestations as images of no platform.
export const isPlatform = (m) => m.platform && m.platform.os !== 'unknown';

export async function manifestOf(name, ref, {signal}) {
  const response = await request(`${name}/manifests/${ref}`, {scope: pull(name), headers: accept, signal});
  return {digest: response.headers.get('Docker-Content-Digest') ?? ref, body: await response.json()};
}

// null if there is none that can be read.
export async function configOf(name, descriptor, {signal}) {
  if (!descriptor || descriptor.size > CONFIG_MAX || !/json$/.test(descriptor.mediaType ?? ''))
    return null;
  return json(`${name}/blobs/${descriptor.digest}`, {scope: pull(name), signal}).catch((e) => {
    if (e.name === 'AbortError')
      throw e;
    return null;
  });
}

// The image of an index that is shown, as the registry itself would choose.
export function choosePlatform(all, wanted) {
  return all.find((m) => platformName(m.platform) === wanted) ?? all.find((m) => platformName(m.platform) === 'linux/amd64') ??
    all.find((m) => m.platform?.os === 'linux') ?? all[0];
}
