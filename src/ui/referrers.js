// What refers to an image: signatures, SBOMs, attestations. Tools store them in three ways: with a
// subject, under tags that are made of the digest, and in the index.

import {page, pull, request} from './api.js';
import {h, short, size, text} from './dom.js';
import {accept, platformName} from './manifest.js';
import {empty, link, to} from './parts.js';

const kinds = [
  [/sig|notary|cosign\.simplesigning/i, 'Signature'], [/spdx|cyclonedx|sbom|syft/i, 'SBOM'],
  [/in-toto|attest|dsse|sigstore\.bundle|provenance/i, 'Attestation'], [/vuln|sarif|trivy/i, 'Report'],
];
const kindOf = (type) => kinds.find(([pattern]) => pattern.test(type))?.[1] ?? 'Artifact';

async function withSubject(it, digest, signal) {
  const all = [];
  let next = `${it.name}/referrers/${digest}`;
  while (next !== null && all.length < 1000) {
    const {body, next: then} = await page(next, {scope: pull(it.name), signal});
    all.push(...body.manifests.map((m) => ({...m, of: digest, ref: m.digest})));
    next = then;
  }
  return all;
}

async function underTags(it, digest, signal) {
  const all = await Promise.all(['sig', 'att', 'sbom'].map(async (suffix) => {
    const tag = `${digest.replace(':', '-')}.${suffix}`;
    try {
      const response = await request(`${it.name}/manifests/${tag}`, {scope: pull(it.name), signal, headers: accept});
      return {of: digest, ref: tag, digest: response.headers.get('Docker-Content-Digest'), artifactType: {sig: 'cosign signature', att: 'in-toto attestation', sbom: 'sbom'}[suffix]};
    } catch (e) {
      if (e.status === 404 || e.status === 400)
        return null;
      throw e;
    }
  }));
  return all.filter(Boolean);
}

function inIndex(it) {
  return (it.whole.body.manifests ?? []).filter((m) => m.annotations?.['vnd.docker.reference.digest'])
    .map((m) => ({...m, of: m.annotations['vnd.docker.reference.digest'], ref: m.digest, artifactType: m.annotations['vnd.docker.reference.type'] ?? m.mediaType}));
}

export async function referrers(it, {signal}) {
  const digests = [...new Set([it.whole.digest, it.manifest.digest])];
  const found = (await Promise.all(digests.flatMap((d) => [withSubject(it, d, signal), underTags(it, d, signal)]))).flat();
  const all = [...found, ...inIndex(it)];
  const subject = it.manifest.body.subject?.digest;
  const of = (digest) => digest === it.whole.digest ? (it.whole === it.manifest ? null : 'all platforms')
    : platformName((it.whole.body.manifests ?? []).find((m) => m.digest === digest)?.platform) || null;
  return [
    subject ? h('p', null, 'This refers to ', link(to.image(it.name, subject), {class: 'mono'}, short(subject)), '.') : null,
    all.length === 0 ? empty('Nothing refers to this image', 'Signatures, SBOMs and attestations appear here.')
      : h('ul', {class: 'cards'}, all.map((m) => {
        const type = m.artifactType || m.mediaType || '';
        return h('li', {class: 'card'},
          h('h2', null, link(to.image(it.name, m.ref), null, kindOf(type)), of(m.of) ? h('span', {class: 'chip'}, text(of(m.of), {max: 60})) : null),
          h('p', null, text(type, {class: 'mono', max: 300})),
          h('p', {class: 'dim'}, h('span', {class: 'mono', title: m.digest}, short(m.digest)), m.size ? `, ${size(m.size)}` : ''),
          m.annotations ? h('dl', {class: 'pairs'}, Object.entries(m.annotations).slice(0, 20).map(([key, value]) => [h('dt', null, text(key, {max: 200})), h('dd', null, text(value, {max: 1000}))])) : null);
      })),
  ];
}
