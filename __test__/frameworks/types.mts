// Each framework takes the handlers as they are. Compiled, never run.

import express from 'express';
import Fastify from 'fastify';
import { Hono } from 'hono';
import Koa from 'koa';

import { healthHandler, snapshotHandler } from '../../lib/http.js';

const snapshot = snapshotHandler({ token: 'a-token-of-24-characters' });
const health = healthHandler();

express().post('/a', snapshot).get('/b', health);
Fastify().post('/a', snapshot);
Fastify().get('/b', health);
new Koa().use(snapshot).use(health);
new Hono().post('/a', snapshot).get('/b', health);
