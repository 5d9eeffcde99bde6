BEGIN TRANSACTION;
CREATE TABLE action_starts (
	id INTEGER NOT NULL, 
	watcher_id INTEGER NOT NULL, 
	action_id INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "action_starts" VALUES(1,1,1,'2027-01-15T08:00:00.250000+00:00');
CREATE TABLE checkpoints (
	watcher_id INTEGER NOT NULL, 
	stream TEXT NOT NULL, 
	device BIGINT NOT NULL, 
	inode BIGINT NOT NULL, 
	"offset" INTEGER NOT NULL, 
	line INTEGER NOT NULL, 
	pending_cr BOOLEAN NOT NULL, 
	cut BOOLEAN NOT NULL, 
	head BLOB NOT NULL, 
	tail BLOB NOT NULL, 
	window_json TEXT, 
	PRIMARY KEY (watcher_id, stream), 
	FOREIGN KEY(watcher_id) REFERENCES job_watchers (id) ON DELETE CASCADE
);
INSERT INTO "checkpoints" VALUES(1,'stdout',1,2,30,4,0,0,X'6865',X'7461',NULL);
CREATE TABLE facts (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "facts" VALUES('state.identity','0123456789abcdef0123456789abcdef');
INSERT INTO "facts" VALUES('exported_seq','1');
CREATE TABLE job_watchers (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	job_id TEXT NOT NULL, 
	hostname TEXT NOT NULL, 
	name TEXT, 
	pattern TEXT NOT NULL, 
	interval_seconds INTEGER DEFAULT 60 NOT NULL, 
	captures_json TEXT, 
	condition TEXT, 
	actions_json TEXT NOT NULL, 
	last_check TEXT, 
	last_position INTEGER DEFAULT 0 NOT NULL, 
	trigger_count INTEGER DEFAULT 0 NOT NULL, 
	state TEXT DEFAULT 'active' NOT NULL, 
	timer_mode_enabled INTEGER DEFAULT 0 NOT NULL, 
	timer_interval_seconds INTEGER DEFAULT 30 NOT NULL, 
	timer_mode_active INTEGER DEFAULT 0 NOT NULL, 
	created_at TEXT NOT NULL, 
	job_name TEXT NOT NULL, 
	job_submitted TEXT, 
	phase TEXT DEFAULT 'active' NOT NULL, 
	holds_json TEXT NOT NULL, 
	failures INTEGER NOT NULL, 
	last_trigger TEXT, 
	last_error TEXT NOT NULL, 
	memory_json TEXT NOT NULL, 
	spec_digest TEXT NOT NULL, 
	source TEXT NOT NULL, 
	file TEXT NOT NULL, 
	line INTEGER NOT NULL, 
	git_commit TEXT NOT NULL, 
	layer TEXT NOT NULL, 
	ended_at TEXT
);
INSERT INTO "job_watchers" VALUES(1,'123_4','hpc1','w','loss: (.+)',60,'["loss"]','float(loss) > 5','[{"type":"cancel_job"}]',NULL,30,0,'paused',0,30,0,'2027-01-15T08:00:00.250000+00:00','train',NULL,'active','[{"kind":"manual","by":"ada","reason":"why","since":1800000000.25,"until":null}]',0,NULL,'','{"seen":{"0":1800000000.25},"newest":{"text":"loss: 5.7","line":4,"offset":20,"stream":"stdout","groups":[],"captures":{},"pattern":0}}','d1','directory:/w','a.yaml',3,'c0ffee','site',NULL);
CREATE TABLE jobs (
	hostname TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	user TEXT NOT NULL, 
	state TEXT NOT NULL, 
	submitted TEXT, 
	restarts INTEGER NOT NULL, 
	last_seen TEXT NOT NULL, 
	finished BOOLEAN NOT NULL, 
	first_json TEXT NOT NULL, 
	now_json TEXT NOT NULL, 
	PRIMARY KEY (hostname, job_id)
);
INSERT INTO "jobs" VALUES('hpc1','123_4','train','ada','running','2027-01-15T07:59:00.250000+00:00',0,'2027-01-15T08:00:00.250000+00:00',0,'{"host":"hpc1","id":"123_4","name":"train","user":"ada","state":"running","submitted":1799999940.25}','{"host":"hpc1","id":"123_4","name":"train","user":"ada","state":"running","submitted":1799999940.25}');
CREATE TABLE lease (
	id INTEGER NOT NULL, 
	token INTEGER NOT NULL, 
	holder TEXT, 
	since TEXT NOT NULL, 
	renewed_at TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "lease" VALUES(1,1,NULL,'2027-01-15T08:00:00.250000+00:00','2027-01-15T08:00:00.250000+00:00');
CREATE TABLE metric_points (
	id INTEGER NOT NULL, 
	watcher_id INTEGER NOT NULL, 
	job_id TEXT NOT NULL, 
	hostname TEXT NOT NULL, 
	name TEXT NOT NULL, 
	value FLOAT, 
	at TEXT NOT NULL, 
	step FLOAT, 
	PRIMARY KEY (id)
);
INSERT INTO "metric_points" VALUES(1,1,'123_4','hpc1','loss',5.7,'2027-01-15T08:00:00.250000+00:00',NULL);
CREATE TABLE parsed_files (
	"key" TEXT NOT NULL, 
	body TEXT NOT NULL, 
	stored_at TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "parsed_files" VALUES('k','{}','2027-01-15T08:00:00.250000+00:00');
CREATE TABLE pending_actions (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	watcher_id INTEGER NOT NULL, 
	trigger_group INTEGER NOT NULL, 
	action_index INTEGER NOT NULL, 
	type TEXT NOT NULL, 
	params_json TEXT NOT NULL, 
	trigger_json TEXT NOT NULL, 
	status TEXT DEFAULT 'pending' NOT NULL, 
	attempts INTEGER NOT NULL, 
	not_before TEXT, 
	started_at TEXT, 
	ended_at TEXT, 
	outcome TEXT, 
	result TEXT NOT NULL, 
	FOREIGN KEY(watcher_id) REFERENCES job_watchers (id) ON DELETE CASCADE
);
INSERT INTO "pending_actions" VALUES(1,1,1,0,'cancel_job','{"reason":"$loss"}','{"kind":"match","at":1800000000.25,"variables":{"loss":"5.7"},"match":{"text":"loss: 5.7","line":7,"offset":120,"stream":"stdout","groups":[],"captures":{"loss":"5.7"},"pattern":0}}','started',1,NULL,'2027-01-15T08:00:00.250000+00:00',NULL,NULL,'');
CREATE TABLE requests (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	verb TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	at TEXT NOT NULL, 
	body_json TEXT NOT NULL, 
	done_at TEXT
);
INSERT INTO "requests" VALUES(1,'trigger','ada','2027-01-15T08:00:00.250000+00:00','{"watcher":1}',NULL);
CREATE TABLE specs (
	name TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	body TEXT NOT NULL, 
	source TEXT NOT NULL, 
	file TEXT NOT NULL, 
	line INTEGER NOT NULL, 
	git_commit TEXT NOT NULL, 
	layer TEXT NOT NULL, 
	missing_since TEXT, 
	PRIMARY KEY (name)
);
INSERT INTO "specs" VALUES('w','d1','{"actions":[{"type":"cancel_job"}],"captures":["loss"],"condition":"float(loss) > 5","name":"w","pattern":"loss: (.+)"}','directory:/w','a.yaml',3,'c0ffee','site',NULL);
CREATE TABLE watcher_events (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	watcher_id INTEGER, 
	job_id TEXT NOT NULL, 
	hostname TEXT NOT NULL, 
	timestamp TEXT NOT NULL, 
	matched_text TEXT, 
	captured_vars_json TEXT, 
	action_type TEXT NOT NULL, 
	action_result TEXT, 
	success BOOLEAN NOT NULL, 
	type TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	watcher TEXT NOT NULL, 
	data_json TEXT
);
INSERT INTO "watcher_events" VALUES(1,1,'123_4','hpc1','2027-01-15T08:00:00.250000+00:00',NULL,NULL,'','',1,'reconciler.watcher.triggered.v1','w/123_4@hpc1','w',NULL);
CREATE TABLE watcher_variables (
	watcher_id INTEGER NOT NULL, 
	variable_name TEXT NOT NULL, 
	variable_value TEXT, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (watcher_id, variable_name), 
	FOREIGN KEY(watcher_id) REFERENCES job_watchers (id) ON DELETE CASCADE
);
INSERT INTO "watcher_variables" VALUES(1,'loss','5.7','2027-01-15T08:00:00.250000+00:00');
CREATE INDEX job_watchers_phase ON job_watchers (phase, ended_at);
CREATE INDEX job_watchers_state ON job_watchers (state);
CREATE INDEX job_watchers_job ON job_watchers (hostname, job_id);
CREATE INDEX job_watchers_name ON job_watchers (name);
CREATE INDEX watcher_events_watcher ON watcher_events (watcher_id, id);
CREATE INDEX watcher_events_type ON watcher_events (type, id);
CREATE INDEX watcher_events_time ON watcher_events (timestamp);
CREATE INDEX watcher_events_name ON watcher_events (watcher, id);
CREATE INDEX watcher_events_job ON watcher_events (job_id, id);
CREATE INDEX metric_points_job ON metric_points (hostname, job_id, name, at);
CREATE INDEX metric_points_time ON metric_points (at);
CREATE INDEX action_starts_time ON action_starts (at);
CREATE INDEX action_starts_watcher ON action_starts (watcher_id, at);
CREATE INDEX jobs_unfinished ON jobs (hostname, job_id) WHERE finished = 0;
CREATE INDEX requests_open ON requests (id) WHERE done_at IS NULL;
CREATE UNIQUE INDEX pending_actions_place ON pending_actions (watcher_id, trigger_group, action_index);
CREATE INDEX pending_actions_open ON pending_actions (watcher_id, trigger_group, action_index) WHERE status != 'done';
CREATE INDEX pending_actions_done ON pending_actions (ended_at) WHERE status = 'done';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('job_watchers',1);
INSERT INTO "sqlite_sequence" VALUES('watcher_events',1);
INSERT INTO "sqlite_sequence" VALUES('pending_actions',1);
INSERT INTO "sqlite_sequence" VALUES('requests',1);
PRAGMA user_version = 1;
COMMIT;
