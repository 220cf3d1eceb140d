# /metrics: its numbers are those of the clients, in a format that Prometheus takes; /readyz says what is wrong.
use v5.36;
use JSON::PP ();
use Registry limit => 120;
use Registry::Checks;
use Registry::Layers;
use Registry::Manual;
use Registry::Nginx;
use Registry::Tools;
use Test::More;

# name{labels} -> value
sub metrics_of ($text) { return { $text =~ /^(registry_\w+(?:\{(?:\w+="[^"]*",?)*\})?) (\S+)$/mg } }

# All that the format asks for, as promtool does: HELP and TYPE once and before the samples of a metric, which stand together;
# no sample twice; a histogram's buckets grow and end with +Inf, which is its count.
sub format_problems ($text) {
    my (@bad, %type, %seen, $metric, %last);
    push @bad, 'no line feed at the end' if $text !~ /\n\z/;
    for my $line (split /\n/, $text) {
        if ($line =~ /^# HELP (\w+) \S.*\.$/) {
            push @bad, "HELP twice: $1" if exists $type{$1};
            $type{$metric = $1} = '';
        } elsif ($line =~ /^# TYPE (\w+) (counter|gauge|histogram)$/) {
            push @bad, "TYPE without HELP: $1" if $1 ne ($metric // '');
            $type{$1} = $2;
            push @bad, "not _total: $1" if ($2 eq 'counter') != ($1 =~ /_total$/);
        } elsif ($line =~ /^(\w+?)(_bucket|_sum|_count)?((?:\{\w+="[^"\\\n]*"(?:,\w+="[^"\\\n]*")*\})?) (\d+(?:\.\d+)?)$/) {
            my ($name, $part, $labels, $value) = ($1, $2 // '', $3, $4);
            my $of = ($type{$metric} // '') eq 'histogram' ? $name : "$name$part";
            push @bad, "not with its metric: $line" if $of ne ($metric // '');
            push @bad, "twice: $line" if $seen{"$name$part$labels"}++;
            next if $part ne '_bucket' || $type{$metric} ne 'histogram';
            my $series = $labels =~ s/,?le="([^"]*)"//r;
            push @bad, "smaller than the bucket before: $line" if $value < ($last{$series} // 0);
            $last{$series} = $value;
        } else {
            push @bad, "not understood: $line";
        }
    }
    my $m = metrics_of($text);
    for my $count (grep { /_count\{/ } keys %$m) {
        my $inf = $count =~ s/_count\{(.*)\}/_bucket{$1,le="+Inf"}/r;
        push @bad, "$inf isn't $count" if ($m->{$inf} // -1) != $m->{$count};
    }
    return @bad;
}

sub scrape ($client) {
    my $response = $client->get('/metrics');
    is_status($response, 200, '/metrics', 'Content-Type' => 'text/plain; version=0.0.4; charset=utf-8', 'Cache-Control' => 'no-store');
    return $response->content;
}

my $registry = Registry->start(
    args     => [ '--user', 'ann:secret', '--on-tag', 'true', '--on-manifest', 'false', '--hook-retries', '0', '--watchdog', '10m' ],
    user     => 'ann:secret',
    expected => qr/hook|wrong password|process died|can't be taken over/,
);
my $open = $registry->with(user => undef);

subtest 'ready' => sub {
    my $ready;
    ok(wait_for(10, sub { ($ready = $open->get('/readyz'))->status == 200 }), 'once the keeper has looked at everything');
    is_status($ready, 200, '/readyz, without a password', 'Cache-Control' => 'no-store', 'Content-Type' => 'application/json');
    is_deeply($ready->json, { status => 'ready', parts => { map { $_ => 'ok' } qw(database disk keeper indexer hooks) } }, '... each part is well');
    is_status($open->head('/readyz'), 200, 'HEAD');
};

subtest 'the numbers are those of the clients' => sub {
    my $layer = random_bytes(100_000);
    is_status($registry->push_image('a/b', 'v1', [$layer]), 201, 'an image');
    my $first  = scrape($open);
    my $before = metrics_of($first);
    my ($in, $out, %sent) = (0, length $first);
    my $count = sub ($method, $route, $response, $got = 0) {
        $sent{qq(registry_requests_total{route="$route",method="$method",status="${\ $response->status }"})}++;
        $in  += $got;
        $out += length $response->content;
        return $response;
    };
    my ($manifests, $blobs, $uploads) = map { "/v2/{name}/$_" } 'manifests/{reference}', 'blobs/{digest}', 'blobs/uploads/';
    $count->('GET',  $manifests, $registry->get('/v2/a/b/manifests/v1'))  for 1 .. 7;
    $count->('HEAD', $manifests, $registry->head('/v2/a/b/manifests/v1')) for 1 .. 3;
    $count->('GET',  $manifests, $registry->get('/v2/a/b/manifests/missing'));
    $count->('GET',  $blobs,     $registry->get('/v2/a/b/blobs/' . digest($layer)));
    $count->('POST', $uploads, $registry->push_blob('a/b', random_bytes(1 << 20), way => 'post'), 1 << 20) for 1 .. 3;
    # In chunks, whose length nobody announces; then with a length.
    my $blob  = random_bytes(150_000);
    my $place = $registry->place_of($count->('POST', $uploads, $registry->post('/v2/a/b/blobs/uploads/', body => '')));
    my $patch = $count->('PATCH', "$uploads\{upload}", $registry->patch($place, body => substr($blob, 0, 100_000), chunked => 1), 100_000);
    is($patch->status, 202, 'a piece');
    my $put = $registry->put($registry->with_digest($registry->place_of($patch), digest($blob)), body => substr $blob, 100_000);
    is($count->('PUT', "$uploads\{upload}", $put, 50_000)->status, 201, 'the rest');
    $count->('PUT', $manifests, my $bad = $registry->put('/v2/a/b/manifests/v2', body => '{}', headers => { 'Content-Type' => 'application/vnd.oci.image.manifest.v1+json' }), 2);
    is($bad->status, 400, 'a bad manifest');
    # Refused before its body is read: nginx makes the answer.
    my $refused = $registry->put('/v2/A/blobs/uploads/0123?digest=' . digest('x'), body => 'x');
    $sent{qq(registry_requests_total{route="none",method="PUT",status="${\ $refused->status }"})}++;
    $count->('OPTIONS', 'none', $registry->request('OPTIONS', '/v2/nothing'));
    my $after = metrics_of(scrape($open));
    is($after->{$_} - ($before->{$_} // 0), $sent{$_}, $_) for sort keys %sent;
    is($after->{registry_received_bytes_total} - $before->{registry_received_bytes_total}, $in, 'bytes in');
    is($after->{registry_sent_bytes_total} - $before->{registry_sent_bytes_total}, $out, 'bytes out');
    my $n = qq(registry_request_duration_seconds_count{route="$manifests"});
    is($after->{$n} - $before->{$n}, 7 + 3 + 1 + 1, 'each has its time');
    ok(wait_for(10, sub { metrics_of($open->get('/metrics')->content)->{registry_repositories} == 1 }), 'a repository');
};

subtest 'the format' => sub {
    my $text = scrape($open);
    is_deeply([ format_problems($text) ], [], 'nothing is wrong with it');
    isnt(scalar format_problems($text =~ s/,le="5"\} \d+/,le="5"} 99999999/r), 0, '... and what is wrong is found');
};

subtest 'promtool check metrics' => sub {
    my $promtool = find_program('promtool') or return skip_or_fail('promtool (the package prometheus) is not installed');
    my $ran = run([ $promtool, 'check', 'metrics' ], stdin => scrape($open));
    is($ran->{exit}, 0, 'it accepts the text') or diag($ran->{out}, $ran->{err});
    is($ran->{out} . $ran->{err}, '', '... and says nothing');
};

subtest 'hooks, tokens, wrong passwords' => sub {
    my $m;
    ok(wait_for(20, sub { $m = metrics_of($open->get('/metrics')->content); $m->{'registry_hook_runs_total{hook="tag",result="ok"}'} == 1 && $m->{'registry_hook_runs_total{hook="manifest",result="failed"}'} == 1 }), 'a hook that ended well, and one that failed');
    $open->with(user => 'ann:wrong')->get('/v2/') for 1 .. 3;
    is_status($registry->get('/v2/_token?scope=repository:a/b:pull'), 200, 'a token');
    ok(wait_for(10, sub { $m = metrics_of($open->get('/metrics')->content); $m->{registry_logins_failed_total} == 3 }), 'three wrong passwords') or diag($m->{registry_logins_failed_total});
    is($m->{registry_tokens_issued_total}, 1, 'one token');
    push_layers($registry, 'a/c', 'v1', gzip_layer(tar_of('f file x')));
    ok(wait_for(20, sub { metrics_of($open->get('/metrics')->content)->{'registry_layers_indexed_total{result="ok"}'} }), 'a layer was indexed');
};

subtest 'quotas, retention, snapshots' => sub {
    my $tmp = tempdir();
    spew("$tmp/rules", "team/** keep last 1\n");
    my $started = time;
    my $other = Registry->start(args => [ '--quota', 'team/** 1M', '--quota', '*/b 2K', '--retain', "$tmp/rules", '--retain-every', '2s', '--snapshot-every', '1s', '--snapshot-keep', 2 ]);
    my $m;
    my $shows = sub ($what, $condition) { ok(wait_for(30, sub { $m = metrics_of($other->get('/metrics')->content); $condition->() }), $what) or diag(explain($m)) };
    my $layer = random_bytes(5000);
    is_status($other->push_image('team/a', "v$_", [$layer]), 201, "an image, v$_") for 1 .. 3;
    my $used = sub {
        my $du = JSON::PP::decode_json(Registry->try([ 'repo', 'du', '--json', '--dir', $other->dir, 'team/a' ])->{out});
        return (map { $_->{used} } grep { $_->{pattern} eq 'team/**' } @{ $du->{all}{quotas} })[0];
    };
    $shows->('the sum of a quota', sub { ($m->{'registry_quota_used_bytes{pattern="team/**"}'} // 0) == $used->() });
    cmp_ok($used->(), '>', 5000, '... which is that of the layer and more');
    is($m->{'registry_quota_limit_bytes{pattern="team/**"}'}, 1 << 20, '... and the limit');
    is($m->{'registry_quota_used_bytes{pattern="*/b"}'}, 0, 'nothing counts for the other one');
    $shows->('two tags went', sub { $m->{registry_retention_deleted_tags_total} == 2 });
    $shows->('... and the end of the round is known', sub { ($m->{registry_retention_timestamp_seconds} // 0) > $started });
    $shows->('two snapshots', sub { ($m->{registry_snapshots} // 0) == 2 });
    cmp_ok(abs($m->{registry_snapshot_timestamp_seconds} - time), '<', 60, '... and the time of the last one');
    is_deeply([ format_problems($other->get('/metrics')->content) ], [], 'the format');
    my $stat = JSON::PP::decode_json(Registry->try([ 'stat', '--json', '--dir', $other->dir ])->{out})->{metrics};
    is_deeply($stat->{quota_limit_bytes}, { 'team/**' => 1 << 20, '*/b' => 2048 }, 'the command stat has them, too');
    my $counted = wait_for(20, sub { metrics_of($other->get('/metrics')->content)->{registry_tags} });
    is($counted, 1, 'a tag is counted');
    $other->stop;
    my $again = Registry->start(dir => $other->dir, args => [ '--read-only' ]);
    ok(wait_for(20, sub { ($m = metrics_of($again->get('/metrics')->content))->{registry_tags} }), 'a read-only registry has the numbers, too');
    is($m->{registry_snapshots}, 2, '... also of snapshots');
    $again->stop;
};

subtest 'the counts of a process that died stay' => sub {
    my $key    = 'registry_requests_total{route="/v2/{name}/manifests/{reference}",method="GET",status="200"}';
    my $before = metrics_of($open->get('/metrics')->content);
    my @workers = $registry->children('worker api');
    my $ended   = sub ($m) { return $m->{'registry_process_restarts_total{process="api",reason="crash"}'} };
    kill 'KILL', $workers[0];
    my $after;
    ok(wait_for(20, sub { my $r = $open->get('/metrics'); return $r->status == 200 && ($after = metrics_of($r->content)) && $ended->($after) + $after->{registry_database_recoveries_total} > $ended->($before) + $before->{registry_database_recoveries_total} }), 'the death is counted');
    is($after->{$key}, $before->{$key}, 'no request is lost');
    ok(wait_for(20, sub { metrics_of($open->get('/metrics')->content)->{'registry_pool_workers{pool="api"}'} == @workers }), 'and another worker runs');
};

subtest 'a hanging database' => sub {
    my @all = map { $registry->children($_) } 'worker api', 'worker bulk', 'worker list', 'worker browse', 'keeper';
    kill 'STOP', @all;
    my $wait = $registry->connect;
    $wait->send($registry->head_of('GET', '/v2/_catalog'));
    ok(wait_for(10, sub { return metrics_of($open->get('/metrics')->content)->{'registry_pool_waiting{pool="list"}'} == 1 }), 'a connection waits for pool list');
    my $ready;
    ok(wait_for(30, sub { ($ready = $open->get('/readyz'))->status == 503 }), '/readyz says 503 when the keeper gives no sign');
    like($ready->json->{parts}{keeper} // '', qr/no sign of it for \d+ s/, '... and why');
    is($ready->header('Retry-After'), 1, '... and to try again');
    is($ready->json->{parts}{disk}, 'ok', '... the disk is well');
    kill 'CONT', @all;
    is($wait->response('GET')->status, 200, 'what has waited is answered');
    ok(wait_for(20, sub { $open->get('/readyz')->status == 200 }), 'it is well again');
};

subtest 'a broken directory' => sub {
    my $dir = $registry->dir;
    rename "$dir/uploads/body", "$dir/away" or die $!;
    my $ready;
    ok(wait_for(20, sub { ($ready = $open->get('/readyz'))->status == 503 }), '/readyz says 503');
    like($ready->json->{parts}{database}, qr{uploads/body}, '... and why');
    rename "$dir/away", "$dir/uploads/body" or die $!;
    ok(wait_for(20, sub { $open->get('/readyz')->status == 200 }), 'it is well again');
};

subtest 'who may read them' => sub {
    is_status($open->request('GET', '/metrics', headers => { 'X-Forwarded-For' => '203.0.113.5' }), 403, 'what another proxy passes on');
    is_status($open->request('GET', '/metrics', headers => { 'X-Forwarded-For' => '127.0.0.1, 203.0.113.5' }), 403, '... also with an invented address');
    is_status($open->request('GET', '/metrics', headers => { 'X-Forwarded-For' => '127.0.0.1, ::1' }), 200, '... from this machine');
    is_status($open->request('GET', '/metrics', headers => { 'Forwarded' => 'for=127.0.0.1' }), 403, 'with a header that nothing reads');
    my $ready = $open->request('GET', '/readyz', headers => { 'X-Forwarded-For' => '203.0.113.5' });
    is_deeply($ready->json, { status => 'ready' }, '/readyz has no reasons for them');
    for my $case ([ [ '192.0.2.0/24' ], 403 ], [ ['none'], 403 ], [ [ '192.0.2.0/24', '127.0.0.0/30' ], 200 ]) {
        my ($from, $status) = @$case;
        my $other = Registry->start(args => [ map { ('--metrics-from', $_) } @$from ]);
        is_status($other->get('/metrics'), $status, "--metrics-from @$from");
        ok(wait_for(10, sub { $other->get('/readyz')->status == 200 }), '... /readyz is for all');
        is(exists $other->get('/readyz')->json->{parts}, $status == 200, '... with reasons for those alone');
        $other->stop;
    }
};

subtest 'behind an existing nginx, as the manual page says' => sub {
    my $tmp     = tempdir;
    my ($lines) = map { join '', map { "$_\n" } @$_ } [ manual_examples('metrics.7', 'DESCRIPTION', 'Behind an existing nginx') ];
    my $other   = Registry->start(dir => "$tmp/dir", fastcgi => "$tmp/s");
    my @options = ('--dir', "$tmp/dir", '--fastcgi', "$tmp/s");
    my $site    = Registry::Nginx->start(
        files  => { map { ("$_.conf" => Registry->try([ 'print-nginx-conf', "--$_", @options ])->{out}) } 'http', 'server' },
        http   => 'include http.conf;',
        server => "include server.conf;\n$lines",
    );
    ok($site, 'nginx starts') or return diag(Registry::Nginx->last_words);
    ok(wait_for(10, sub { $site->client->get('/readyz')->status == 200 }), '/readyz');
    is_status(my $ready = $site->client->get('/readyz'), 200, '... again');
    is(keys %{ $ready->json->{parts} }, 5, '... with its parts');
    my $text = scrape($site->client);
    is_deeply([ format_problems($text) ], [], '/metrics');
    is(metrics_of($text)->{'registry_requests_total{route="/readyz",method="GET",status="200"}'}, 2, '... with the requests') if $text !~ /status="503"/;
    is_status($site->client->request('GET', '/metrics', headers => { 'X-Forwarded-For' => '203.0.113.5' }), 403, 'not for others');
    is_status($site->client->get("/_registry_main/$_"), 404, "nobody enters $_ from outside") for 'metrics', 'readyz';
    $other->stop;
};

finish();
