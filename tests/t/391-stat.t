# stat says on one screen how the registry is, beside a server and without one; top does so again and again.
use v5.36;
use Registry limit => 90;
use JSON::PP qw(decode_json);
use Registry::Checks;
use Registry::Layers;
use Registry::Tools;
use Test::More;

my $registry = Registry->start(args => [ '--on-tag', 'false', '--hook-retries', '0' ], expected => qr/hook|signal=9|process died|recovering/);
my $dir      = $registry->dir;
my $shared   = gzip_layer(tar_of('f shared ' . 'x' x 5000));

sub stat_of (@args) { return Registry->try([ 'stat', '--dir', $dir, @args ]) }
sub json_stat () { return decode_json(stat_of('--json')->{out}) }

# Three repositories have one layer; one has a layer of its own.
push_layers($registry, $_, 'v1', $shared) for 'a/a', 'b/b', 'c/c';
push_layers($registry, 'a/a', 'v2', $shared, my $own = gzip_layer(tar_of('f own ' . random_bytes(2000) =~ tr/\0\n /a/r)));
is_status($registry->put_manifest('a/a', 'v3', $registry->get('/v2/a/a/manifests/v1')->content), 201, 'a third tag');
my $upload = $registry->start_upload('a/a');

# What is really there: configs are blobs, too.
my (%size, %owners);
for my $name ('a/a', 'b/b', 'c/c') {
    for my $tag (@{ $registry->get("/v2/$name/tags/list")->json->{tags} }) {
        my $manifest = $registry->get("/v2/$name/manifests/$tag")->json;
        for my $blob ($manifest->{config}, @{ $manifest->{layers} }) {
            $size{ $blob->{digest} } = $blob->{size};
            $owners{ $blob->{digest} }{$name} = 1;
        }
    }
}
my $bytes = 0;
my $saved = 0;
for my $digest (keys %size) {
    $bytes += $size{$digest};
    $saved += $size{$digest} * (keys(%{ $owners{$digest} }) - 1);
}
my %expected = (
    repositories => 3, tags => 5, blobs => scalar keys %size, blob_bytes => $bytes, shared_bytes => $saved, uploads_open => 1,
);

subtest 'beside a server' => sub {
    my $m;
    ok(wait_for(30, sub { $m = json_stat()->{metrics}; ($m->{tags} // -1) == 5 && ($m->{blobs} // -1) == $expected{blobs} && $m->{uploads_open} == 1 }), 'the census is made');
    is($m->{$_}, $expected{$_}, $_) for sort keys %expected;
    cmp_ok($saved, '>', 5000, 'something is shared') if length $shared > 5000;
    my $metrics = $registry->get('/metrics')->content;
    like($metrics, qr/^registry_$_ $expected{$_}$/m, "/metrics agrees: $_") for sort keys %expected;
    my $all = json_stat();
    is($all->{running}, JSON::PP::true, 'a server runs');
    is($all->{parts}{keeper}, 'ok', 'the keeper is well');
    like($all->{metrics}{start_time_seconds}, qr/^\d{4}-\d\d-\d\dT[\d:.]+Z$/, 'a time');
    cmp_ok($all->{metrics}{requests_total}{'2xx'}, '>', 10, 'requests');
    is($all->{metrics}{pool_workers}{status}, 1, 'a pool');
    ok(wait_for(20, sub { json_stat()->{metrics}{hook_runs_total}{tag}{failed} == 5 }), 'hooks that failed');

    my $screen = stat_of();
    is($screen->{exit}, 0, 'the screen');
    is($screen->{err}, '', '... and nothing else');
    unlike($screen->{out}, qr/[^\n -~]/, '... has no colours where there is no terminal');
    like($screen->{out}, qr/^docker-registry-server \S+, running for \d+ s$/m, '... how long it runs');
    like($screen->{out}, qr/^  repositories +3$/m, '... repositories');
    like($screen->{out}, qr/^  blobs +$expected{blobs} +\S+ (?:bytes|kB) +counted \d+ s ago$/m, '... blobs');
    like($screen->{out}, qr/^  api +\d+ +\d+ +\d+$/m, '... workers');
    like($screen->{out}, qr/^What is wrong\n  5 runs of hooks have failed: docker-registry-server hooks$/m, '... what is wrong');
    cmp_ok(scalar(() = $screen->{out} =~ /\n/g), '<=', 40, '... on one screen');
    is(scalar(grep { length > 80 } split /\n/, $screen->{out}), 0, '... of 80 columns');
};

subtest 'what goes is counted' => sub {
    is_status($registry->delete($upload), 204, 'an upload is cancelled');
    is_status($registry->delete('/v2/c/c/manifests/v1'), 202, 'a tag is deleted');
    ok(wait_for(20, sub { my $m = json_stat()->{metrics}; $m->{tags} == 4 && $m->{uploads_open} == 0 }), 'both are counted off');
};

subtest 'a backup' => sub {
    ok(!exists json_stat()->{metrics}{backup_timestamp_seconds}, 'there was none');
    like(stat_of()->{out}, qr/^  last backup +never$/m, '... says the screen');
    my $saved = tempdir;
    is(Registry->try([ 'backup', '--dir', $dir, "$saved/b" ])->{exit}, 0, 'one is made');
    ok(wait_for(20, sub { json_stat()->{metrics}{backup_timestamp_seconds} }), '... and its time is known');
    like(stat_of()->{out}, qr/^  last backup +\d+ s ago$/m, '... says the screen');
};

subtest 'one of a kind' => sub {
    my ($worker) = $registry->children('worker');
    kill 'KILL', $worker;
    ok(wait_for(20, sub { stat_of()->{out} =~ /^  1 process has died: see the log$/m }), 'is in the singular') or diag(stat_of()->{out});
};

subtest 'top' => sub {
    is_refused(Registry->try([ 'top', '--dir', $dir ]), qr/needs a terminal/, 'without a terminal');
    my $script = find_program('script') or return;
    my $ran = run([ $script, '-qec', "timeout -s INT 9 '" . Registry->program . "' top --dir '$dir'", '/dev/null' ], env => { TERM => 'xterm', NO_COLOR => '' }, timeout => 20);
    cmp_ok(scalar(() = $ran->{out} =~ /docker-registry-server \S+, running/g), '>=', 2, 'more than one screen');
    like($ran->{out}, qr/\(2xx\) +\d+ +\d+\.\d a second/, '... with rates');
    like($ran->{out}, qr/\e\[1mContents\e\[0m/, '... and headings that stand out');
    my $low = run([ $script, '-qec', "stty rows 24 cols 80; timeout -s INT 5 '" . Registry->program . "' top --dir '$dir'", '/dev/null' ], env => { TERM => 'xterm', NO_COLOR => '1' }, timeout => 20);
    my @screens = split /\e\[H\e\[J(?:\e\[\?7l)?/, $low->{out};
    shift @screens;
    cmp_ok(scalar @screens, '>', 0, 'a terminal of 24 lines');
    is_deeply([ grep { tr/\n// > 23 } @screens ], [], '... of which no screen scrolls');
    is_deeply([ grep { !/^docker-registry-server \S+, running.*^What is wrong.*^  1 process has died: see the log/ms } @screens ], [], '... but each has what is wrong') or diag(explain(\@screens));
    $ran = run([ $script, '-qec', "timeout -s INT 3 '" . Registry->program . "' top --dir '$dir'", '/dev/null' ], env => { TERM => 'xterm', NO_COLOR => '1' }, timeout => 20);
    unlike($ran->{out}, qr/\e\[1m/, 'NO_COLOR: they do not');
};

subtest 'arguments' => sub {
    is_refused(stat_of('x'), qr/usage: docker-registry-server stat/, 'too many');
    is(stat_of('x')->{exit}, 2, '... exit 2');
    is_refused(Registry->try([ 'stat', '--dir', "$dir/missing" ]), qr/missing/, 'no such directory');
};

$registry->stop;
subtest 'without a server' => sub {
    my $all = json_stat();
    is($all->{running}, JSON::PP::false, 'no server runs');
    is($all->{metrics}{$_}, { %expected, tags => 4, uploads_open => 0 }->{$_}, $_) for grep { $_ ne 'shared_bytes' } sort keys %expected;
    ok(!exists $all->{metrics}{$_}, "nothing is invented: $_") for 'requests_total', 'pool_workers', 'hooks_waiting';
    ok($all->{metrics}{backup_timestamp_seconds}, 'the last backup');
    like(stat_of()->{out}, qr/, not running\nContents\n.*\nDisk\n.*\nNothing is wrong\n\z/s, 'the screen');
};

finish();
