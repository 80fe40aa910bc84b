'use strict';

// Which container a process is in, as those who look from outside call it.

const fs = require('node:fs');

/** Docker, containerd, CRI-O and Podman, bare or under Kubernetes: 64 hexadecimal digits at the end of the control group. */
const ID = /(?:^|[/:-])([0-9a-f]{64})(?:\.scope)?$/;

/**
 * The short form of a container's id (12 digits, as `docker ps`, `crictl ps` and `podman ps` show it). Where no id is seen
 * and the pid namespace is not ours, `pidns:` and its number (lsns(8)). Undefined for none.
 * @param {import('./processes.js').Target} target
 */
function containerOf(target) {
  const id = idIn(target.read('cgroup'));
  const namespace = fs.readlinkSync(target.at('ns/pid'));
  if (id !== undefined) return id.slice(0, 12);
  return namespace === fs.readlinkSync('/proc/self/ns/pid') ? undefined : `pidns:${/\d+/.exec(namespace)[0]}`;
}

/** The id in the text of /proc/PID/cgroup. The innermost group is not always the container's own: it may make some below. */
function idIn(text) {
  for (const line of text.split('\n')) {
    for (const part of line.slice(line.indexOf('/')).split('/').reverse()) {
      const [, id] = ID.exec(part) ?? [];
      if (id !== undefined) return id;
    }
  }
  return undefined;
}

module.exports = { containerOf, idIn };
