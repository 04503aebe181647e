"""The tables of the registry and of history, which lie in the database that the servers share.

Names and columns as in `dynamoregister` and `dynamohistory` of the original, where there are such.  Closed requests
stay in the same tables, and names are written out, so that history outlives what it speaks of.
"""

TABLES = """
CREATE TABLE IF NOT EXISTS copy_requests (
  id {rising}, group_name {text64} NOT NULL, num_copies {int} NOT NULL, user {text64} NOT NULL, dn {text1024} NOT NULL,
  first_request_time {int} NOT NULL, last_request_time {int} NOT NULL, request_count {int} NOT NULL,
  status {text16} NOT NULL, rejection_reason {text1024} NULL);
CREATE TABLE IF NOT EXISTS deletion_requests (
  id {rising}, user {text64} NOT NULL, dn {text1024} NOT NULL, request_time {int} NOT NULL,
  status {text16} NOT NULL, rejection_reason {text1024} NULL);
CREATE TABLE IF NOT EXISTS request_items (
  kind {text16} NOT NULL, request_id {int} NOT NULL, item {text1024} NOT NULL);
CREATE INDEX IF NOT EXISTS request_items_by_id ON request_items (kind, request_id);
CREATE TABLE IF NOT EXISTS request_sites (
  kind {text16} NOT NULL, request_id {int} NOT NULL, site {text32} NOT NULL,
  PRIMARY KEY (kind, request_id, site));
CREATE TABLE IF NOT EXISTS request_actions (
  id {key}, kind {text16} NOT NULL, request_id {int} NOT NULL, item {text1024} NOT NULL, site {text32} NOT NULL,
  status {text16} NOT NULL, created {int} NOT NULL, updated {int} NOT NULL);
CREATE INDEX IF NOT EXISTS request_actions_by_id ON request_actions (kind, request_id);
CREATE TABLE IF NOT EXISTS cached_copy_requests (
  id {rising}, item {text1024} NOT NULL, sites {text2048} NOT NULL, user {text64} NOT NULL, created {int} NOT NULL);
CREATE TABLE IF NOT EXISTS data_injections (id {rising}, cmd {text16} NOT NULL, obj {blob} NOT NULL);
CREATE TABLE IF NOT EXISTS activity_lock (
  id {rising}, user {text64} NOT NULL, service {text64} NULL, application {text64} NOT NULL,
  timestamp {int} NOT NULL, note {text512} NULL);
CREATE INDEX IF NOT EXISTS activity_lock_by_application ON activity_lock (application);
CREATE TABLE IF NOT EXISTS detox_locks (
  id {rising}, item {text1024} NOT NULL, sites {text64} NULL, group_name {text64} NULL, lock_date {int} NOT NULL,
  expiration_date {int} NOT NULL, unlock_date {int} NULL, user {text64} NOT NULL, dn {text1024} NOT NULL,
  service {text64} NULL, comment {text512} NULL);
CREATE TABLE IF NOT EXISTS policy_cycles (
  id {rising}, token {text32} NOT NULL UNIQUE, operation {text16} NOT NULL, partition_name {text64} NOT NULL,
  policy_hash {text64} NOT NULL, comment {text512} NOT NULL, is_test {int} NOT NULL, started {int} NOT NULL,
  sites {blob} NOT NULL);
CREATE TABLE IF NOT EXISTS policies (hash {text64} PRIMARY KEY, body {blob} NOT NULL);
CREATE TABLE IF NOT EXISTS cycle_decisions (
  id {key}, cycle_id {int} NOT NULL, site {text32} NOT NULL, dataset {text512} NOT NULL, decision {text16} NOT NULL,
  size {int} NOT NULL, rule {int} NOT NULL, line {text1024} NOT NULL, details {blob} NOT NULL,
  FOREIGN KEY (cycle_id) REFERENCES policy_cycles (id) ON DELETE CASCADE);
CREATE INDEX IF NOT EXISTS cycle_decisions_by_site ON cycle_decisions (cycle_id, site);
CREATE TABLE IF NOT EXISTS file_subscriptions (
  id {rising}, file {text512} NOT NULL, block {text1024} NOT NULL, site {text32} NOT NULL, size {int} NOT NULL,
  is_deletion {int} NOT NULL, status {text16} NOT NULL, hold_reason {text64} NULL, created {int} NOT NULL,
  updated {int} NOT NULL, UNIQUE (file, site, is_deletion));
CREATE INDEX IF NOT EXISTS file_subscriptions_by_status ON file_subscriptions (status);
CREATE TABLE IF NOT EXISTS file_tasks (
  id {rising}, subscription_id {int} NOT NULL, source {text32} NOT NULL, batch {text32} NOT NULL,
  status {text16} NOT NULL, created {int} NOT NULL);
CREATE TABLE IF NOT EXISTS failed_transfers (
  id {key}, subscription_id {int} NOT NULL, source {text32} NOT NULL, exit_code {int} NOT NULL, failed {int} NOT NULL);
CREATE INDEX IF NOT EXISTS failed_transfers_by_subscription ON failed_transfers (subscription_id);
CREATE TABLE IF NOT EXISTS file_history (
  id {rising}, file {text512} NOT NULL, source {text32} NOT NULL, site {text32} NOT NULL, size {int} NOT NULL,
  is_deletion {int} NOT NULL, status {text16} NOT NULL, exit_code {int} NOT NULL, message {text512} NOT NULL,
  created {int} NOT NULL, started {int} NULL, finished {int} NOT NULL);
CREATE INDEX IF NOT EXISTS file_history_by_time ON file_history (finished);
"""
