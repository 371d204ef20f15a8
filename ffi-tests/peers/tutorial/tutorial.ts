import WebSocket from 'ws';
import axios, { AxiosError } from 'axios';
import jwt from 'jsonwebtoken';
import { v4 as uuidv4 } from 'uuid';
import * as dotenv from 'dotenv';
dotenv.config();
// --- Interfaces ---
export interface OAuthToken {
access_token: string;
token_type: string;
expires_in: number;
refresh_token?: string;
scope: string;
granted_at: number;
}
export interface AuthMetrics {
successCount: number;
failureCount: number;
totalLatencyMs: number;
requestCount: number;
}
// --- Core Authenticator ---
export class GenesysWebSocketAuthenticator {
private ws?: WebSocket;
private token: OAuthToken | null = null;
private refreshTimer?: NodeJS.Timeout;
private region: string;
private clientId: string;
private clientSecret: string;
private requiredScopes: string[];
private metrics: AuthMetrics = { successCount: 0, failureCount: 0, totalLatencyMs: 0, requestCount: 0 };
private onAuditLog: (log: any) => void;
private onSIEMEvent: (event: any) => void;
constructor(config: {
region: string;
clientId: string;
clientSecret: string;
requiredScopes: string[];
onAuditLog: (log: any) => void;
onSIEMEvent: (event: any) => void;
}) {
this.region = config.region;
this.clientId = config.clientId;
this.clientSecret = config.clientSecret;
this.requiredScopes = config.requiredScopes;
this.onAuditLog = config.onAuditLog;
this.onSIEMEvent = config.onSIEMEvent;
}
async connect(): Promise<WebSocket> {
const startTime = Date.now();
try {
this.token = await this.fetchTokenWithRetry();
const validation = this.validateTokenScopes(this.token);
if (!validation.isValid) {
this.recordMetrics('failure', Date.now() - startTime, { reason: 'scope_mismatch', missing: validation.missing });
throw new Error(`Insufficient scopes. Missing: ${validation.missing.join(', ')}`);
}
this.ws = await this.establishWebSocket(this.token.access_token);
this.scheduleTokenRefresh(this.token);
const latency = Date.now() - startTime;
this.recordMetrics('success', latency, { scopes: validation.granted });
return this.ws;
} catch (error) {
const latency = Date.now() - startTime;
this.recordMetrics('failure', latency, { error: (error as Error).message });
throw error;
}
}
private async fetchTokenWithRetry(): Promise<OAuthToken> {
let attempt = 0;
const maxRetries = 3;
const url = `https://api.${this.region}/oauth/token`;
const auth = Buffer.from(`${this.clientId}:${this.clientSecret}`).toString('base64');
const payload = new URLSearchParams({
grant_type: 'refresh_token',
refresh_token: process.env.GENESYS_REFRESH_TOKEN || ''
});
while (attempt < maxRetries) {
try {
const response = await axios.post(url, payload, {
headers: {
'Authorization': `Basic ${auth}`,
'Content-Type': 'application/x-www-form-urlencoded',
'Accept': 'application/json'
}
});
return { ...response.data, granted_at: Date.now() };
} catch (error) {
const axiosError = error as AxiosError;
if (axiosError.response?.status === 429) {
const retryAfter = axiosError.response.headers['retry-after']
? parseInt(axiosError.response.headers['retry-after'] as string, 10)
: Math.pow(2, attempt) + Math.random();
console.warn(`Rate limited (429). Retrying in ${retryAfter}s...`);
await new Promise(resolve => setTimeout(resolve, retryAfter * 1000));
attempt++;
continue;
}
throw error;
}
}
throw new Error('Max retry attempts exceeded for token acquisition.');
}
private validateTokenScopes(token: OAuthToken) {
const decoded: any = jwt.decode(token.access_token, { complete: false });
const grantedScopes = decoded.scope ? decoded.scope.split(' ') : [];
const missingScopes = this.requiredScopes.filter(scope => !grantedScopes.includes(scope));
return {
isValid: missingScopes.length === 0,
missing: missingScopes,
granted: grantedScopes
};
}
private async establishWebSocket(token: string): Promise<WebSocket> {
const wsUrl = `wss://api.${this.region}/ws`;
const ws = new WebSocket(wsUrl);
return new Promise((resolve, reject) => {
ws.on('open', () => {
ws.send(JSON.stringify({ type: 'auth', token }));
});
ws.on('message', (data) => {
const response = JSON.parse(data.toString());
if (response.type === 'auth') {
if (response.status === 'ok') resolve(ws);
else reject(new Error(`Auth failed: ${response.message}`));
}
});
ws.on('error', reject);
});
}
private scheduleTokenRefresh(token: OAuthToken) {
if (this.refreshTimer) clearTimeout(this.refreshTimer);
const refreshInMs = (token.expires_in - 120) * 1000;
this.refreshTimer = setTimeout(async () => {
try {
const newToken = await this.fetchTokenWithRetry();
this.token = newToken;
if (this.ws?.readyState === WebSocket.OPEN) {
this.ws.send(JSON.stringify({ type: 'auth', token: newToken.access_token }));
}
this.scheduleTokenRefresh(newToken);
} catch (error) {
console.error('Token refresh failed:', error);
}
}, refreshInMs);
}
private recordMetrics(status: 'success' | 'failure', latencyMs: number, metadata: Record<string, any>) {
this.metrics.requestCount++;
this.metrics.totalLatencyMs += latencyMs;
if (status === 'success') this.metrics.successCount++;
else this.metrics.failureCount++;
const auditEntry = {
id: uuidv4(),
timestamp: new Date().toISOString(),
event_type: 'authentication_attempt',
status,
latency_ms: latencyMs,
success_rate: (this.metrics.successCount / this.metrics.requestCount) * 100,
avg_latency_ms: this.metrics.totalLatencyMs / this.metrics.requestCount,
metadata
};
try {
this.onAuditLog(auditEntry);
this.onSIEMEvent({ ...auditEntry, severity: status === 'failure' ? 'warning' : 'info', source: 'genesys_ws_auth' });
} catch (hookError) {
console.error('Audit hook failed:', hookError);
}
}
getMetrics(): AuthMetrics {
return { ...this.metrics };
}
close(): void {
if (this.refreshTimer) clearTimeout(this.refreshTimer);
if (this.ws) this.ws.close();
}
}
// --- Usage Example ---
const authenticator = new GenesysWebSocketAuthenticator({
region: process.env.GENESYS_REGION || 'mypurecloud.com',
clientId: process.env.GENESYS_CLIENT_ID!,
clientSecret: process.env.GENESYS_CLIENT_SECRET!,
requiredScopes: ['conversation:read'],
onAuditLog: (log) => console.log('AUDIT:', JSON.stringify(log, null, 2)),
onSIEMEvent: (event) => console.log('SIEM:', JSON.stringify(event, null, 2))
});
authenticator.connect()
.then(ws => {
console.log('Connected and authenticated. Ready for subscriptions.');
ws.on('message', (data) => console.log('Received:', data.toString()));
})
.catch(err => console.error('Connection failed:', err));
