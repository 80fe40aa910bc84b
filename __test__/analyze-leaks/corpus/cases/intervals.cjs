// A poller for each job, with a period of its own, that goes on when the job is over.
'use strict';
class Job {
  constructor(id) {
    this.id = id;
    this.log = new Array(30).fill(id);
  }
  poll() {
    this.log.push(Date.now());
  }
}
exports.expect = /intervals\.cjs:1[4-6]:/;
exports.leak = (i) => {
  const job = new Job(i);
  return setInterval(() => job.poll(), 3_600_000 + i);
};
exports.repaired = (i) => clearInterval(exports.leak(i));
