// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// To be loaded before a program (node --require ./tracing.js): sets the SDK up, with fetch left out.
'use strict';
const {NodeSDK} = require('@opentelemetry/sdk-node');
const {getNodeAutoInstrumentations} = require('@opentelemetry/auto-instrumentations-node');

const sdk = new NodeSDK({
  instrumentations: [getNodeAutoInstrumentations({
    '@opentelemetry/instrumentation-undici': {enabled: false},
  })],
});
sdk.start();
process.on('SIGTERM', () => sdk.shutdown());
