'use strict';

// OpenProfiling's parts under their own names: an agent, triggers, profilers, exporters. Each also works with upstream's
// counterparts, which it knows by their methods alone.

const exporters = require('./exporters.js');
const { ProfilingAgent } = require('./openprofiling/agent.js');
const { HeapSnapshotProfiler } = require('./openprofiling/heap-snapshot.js');
const { InspectorCPUProfiler, InspectorHeapProfiler } = require('./openprofiling/inspector.js');
const { Profile, ProfileStatus, ProfileType, TriggerState } = require('./openprofiling/profile.js');
const { SignalTrigger } = require('./openprofiling/signal-trigger.js');

const { FileExporter, S3Exporter, AzureBlobExporter, GCSExporter, WebhookExporter } = exporters;

module.exports = {
  ProfilingAgent,
  SignalTrigger,
  HeapSnapshotProfiler,
  /** Upstream's name. */
  InspectorHeapSnapshot: HeapSnapshotProfiler,
  InspectorCPUProfiler,
  InspectorHeapProfiler,
  FileExporter,
  S3Exporter,
  AzureBlobExporter,
  GCSExporter,
  /** Upstream's name. */
  GcloudStorageExporter: GCSExporter,
  WebhookExporter,
  Profile,
  ProfileType,
  ProfileStatus,
  TriggerState,
};
