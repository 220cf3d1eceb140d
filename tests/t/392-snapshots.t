# The database is copied now and then, and put back after any loss, up to the last change.
use v5.36;
use Registry limit => 200;
use Registry::Checks;
use Registry::Tools;
use Test::More;

my $tmp = tempdir();

sub command (@args) { return Registry->try(\@args, timeout => 60) }
sub names ($dir)    { opendir my $d, $dir or return (); return sort grep { !/^\.\.?$/ } readdir $d }
sub snapshots ($r)  { return grep { /^\d/ } names($r->dir . '/snapshots') }
sub as_run ()       { return is_root() ? ('--run-as', 'www-data') : () }

sub contents ($client) {
    my %all;
    for my $repository (@{ $client->get('/v2/_catalog')->json->{repositories} }) {
        for my $tag (@{ $client->get("/v2/$repository/tags/list")->json->{tags} // [] }) {
            my $manifest = $client->get("/v2/$repository/manifests/$tag");
            $all{"$repository:$tag"} = $manifest->header('Docker-Content-Digest');
            for my $part ($manifest->json->{config}, @{ $manifest->json->{layers} }) {
                my $blob = $client->get("/v2/$repository/blobs/$part->{digest}");
                $all{"$repository:$tag"} = "bad: $part->{digest}" if digest($blob->content) ne $part->{digest};
            }
        }
    }
    return \%all;
}

sub push_some ($registry, @tags) {
    for my $tag (@tags) { is_status($registry->push_image('app', $tag, [ random_bytes(20_000) ]), 201, "app:$tag") }
}

# Stops the registry, damages its database, puts it back, and starts it again.
sub after ($registry, $damage, %o) {
    my $dir = $registry->dir;
    if ($o{settled}) { $registry->stop; Registry->start(dir => $dir)->stop }    # a recovery would repeat nothing
    if ($o{alive}) { $damage->("$dir/db"); $registry->crash } else { $registry->stop; $damage->("$dir/db") }
    wait_for(10, sub { !$registry->processes });
    if ($o{starts}) {
        my $started = Registry->start(dir => $dir, expected => qr/./);
        is(scalar(() = $started->logged(qr/a table was cut: .* restore --snapshot.*table=edge/)), 1, 'a start says what to do in one line');
        $started->stop;
    } else {
        my $refused = Registry->try([ '--dir', $dir, '--port', 0, '--listen', '127.0.0.1', as_run() ], timeout => 30);
        is_refused($refused, qr/restore --snapshot/, 'a server does not start');
        is(scalar(grep { !/level=/ } split /\n/, $refused->{err}), 1, '... and says why in one line') or diag($refused->{err});
    }
    my $ran = command('restore', '--snapshot', @{ $o{args} // [] }, '--dir', $dir);
    $o{lost} ? is_refused($ran, $o{lost}, 'restore --snapshot says what is lost') : works($ran, 'restore --snapshot');
    return ($ran, Registry->start(dir => $dir, args => [ '--snapshot-every', '1h' ], expected => qr/./));
}

my $registry = Registry->start(dir => "$tmp/data", args => [ '--snapshot-every', '1h' ], expected => qr/./);
push_some($registry, 1 .. 3);

subtest 'without a snapshot, the logs of a young store are enough' => sub {
    my $before = contents($registry);
    (my $ran, $registry) = after($registry, sub ($db) { run([ 'rm', '-rf', $db ]) });
    like($ran->{out}, qr/restored the database from its logs/, 'it says from what');
    is_deeply(contents($registry), $before, 'everything is there');
};

subtest 'the whole directory of the database is removed' => sub {
    works(command('snapshot', '--dir', $registry->dir), 'a snapshot');
    is(scalar(() = snapshots($registry)) >= 1, 1, '... is there');
    push_some($registry, 4 .. 6);
    is_status($registry->delete('/v2/app/manifests/1'), 202, 'a tag is deleted');
    my $before = contents($registry);
    (my $ran, $registry) = after($registry, sub ($db) { run([ 'rm', '-rf', $db ]) }, alive => 1);
    like($ran->{out}, qr/restored the snapshot \d+T\d+Z, and all that was logged since/, 'it says from what');
    is_deeply(contents($registry), $before, 'nothing that was acknowledged is lost');
    push_some($registry, 'after');
};

subtest 'a table is cut in the middle' => sub {
    works(command('snapshot', '--dir', $registry->dir), 'a snapshot');
    push_some($registry, 7);
    my $before = contents($registry);
    (my $ran, $registry) = after($registry, sub ($db) { truncate "$db/edge", (-s "$db/edge") / 2 + 100 or die }, settled => 1);
    like($ran->{out}, qr/; the database before is \S+\.damaged-\S+$/, 'the damaged one is kept');
    ok(-e $registry->dir . '/' . (grep { /^db\.damaged/ } names($registry->dir))[-1] . '/edge', '... there');
    is_deeply(contents($registry), $before, 'nothing is lost');
};

subtest 'a table is cut between two pages' => sub {
    works(command('snapshot', '--dir', $registry->dir), 'a snapshot');
    push_some($registry, 'cut');
    my $before = contents($registry);
    (my $ran, $registry) = after($registry, sub ($db) { truncate "$db/edge", 8192 or die }, starts => 1, settled => 1);
    is_deeply(contents($registry), $before, 'nothing is lost');
};

subtest 'a table is missing' => sub {
    works(command('snapshot', '--dir', $registry->dir), 'a snapshot');
    my $before = contents($registry);
    (my $ran, $registry) = after($registry, sub ($db) { unlink "$db/blob" or die });
    is_deeply(contents($registry), $before, 'nothing is lost');
};

subtest 'all logs are gone' => sub {
    works(command('snapshot', '--dir', $registry->dir), 'a snapshot');
    push_some($registry, 8);
    my $before = contents($registry);
    (my $ran, $registry) = after($registry, sub ($db) { unlink glob "$db/log.*" });
    is_deeply(contents($registry), $before, 'they have another name: nothing is lost');
};

subtest 'the logs below snapshots are gone as well' => sub {
    works(command('snapshot', '--dir', $registry->dir), 'a snapshot');
    my $before = contents($registry);
    my $lost = random_bytes(20_000);
    is_status($registry->push_image('app', 'lost', [$lost]), 201, 'an image since');
    (my $ran, $registry) = after($registry, sub ($db) { run([ 'sh', '-c', "rm -rf $db/../snapshots/logs/* $db" ]) },
        lost => qr/the logs behind the snapshot \S+ can't be used: what was changed later is lost, except for the layers/);
    my $digest = digest($lost);
    like($ran->{out}, qr/^\Q$digest\E\t20000\tblob$/m, 'its layer is found');
    like($ran->{out}, qr/^2 blobs \(\S+ kB\) came back into the repository recovered, 0 of them manifests$/m, '... by rebuild');
    my $now = contents($registry);
    is_deeply($now, $before, 'the moment of the snapshot is there, and the image is lost');
    is_blob($registry, 'recovered', $lost, 'its layer can be used');
    my $again = command('rebuild', '--dir', $registry->dir);
    like($again->{out}, qr/^0 blobs/m, 'a second rebuild finds nothing');
    is(command('rebuild', '--dir', $registry->dir, '--into', 'A B')->{exit}, 2, 'a wrong name');
    works(command('rebuild', '--dir', $registry->dir, '--into', 'team/found'), '--into another repository');
    my $me = 'command:' . getpwuid $<;
    like(command('audit', '--user', $me, '--dir', $registry->dir)->{out},
        qr/ \Q$me\E +restore-snapshot .*\n\S+ +\Q$me\E +rebuild +recovered\n\S+ +\Q$me\E +rebuild +recovered\n\S+ +\Q$me\E +rebuild +team\/found\n\z/, 'the audit tells of each');
};

subtest 'an older one by its name' => sub {
    works(command('snapshot', '--dir', $registry->dir), 'a snapshot');
    my ($name) = reverse snapshots($registry);
    my $before = contents($registry);
    push_some($registry, 'later');
    works(command('snapshot', '--dir', $registry->dir), 'another');
    is_refused(command('restore', '--snapshot', '--dir', $registry->dir), qr/a server runs in/, 'beside a server: refused');
    $registry->stop;
    is_refused(command('restore', '--snapshot', '29990101T000000Z', '--dir', $registry->dir), qr/no snapshot 29990101T000000Z/, 'of no such name: refused');
    is_deeply([ grep { /new/ } names($registry->dir) ], [], '... and nothing is left');
    SKIP: {
        skip 'needs root', 2 if !is_root();
        my $ordinary = run([ 'setpriv', '--reuid=www-data', '--regid=www-data', '--clear-groups', Registry->program, 'restore', '--snapshot', '--dir', $registry->dir ], timeout => 60);
        is_refused($ordinary, qr/www-data may make nothing in \S+: run this as root$/m, 'by an ordinary user, in a directory of root: refused');
        is_deeply([ grep { /new/ } names($registry->dir) ], [], '... and nothing is left');
    }
    my $ran = command('restore', '--snapshot', $name, '--dir', $registry->dir);
    works($ran, 'the older one');
    $registry = Registry->start(dir => $registry->dir, args => [ '--snapshot-every', '2s', '--snapshot-keep', 3 ], expected => qr/./);
    is_deeply(contents($registry), $before, '... is exactly that moment');
};

subtest 'the keeper takes them' => sub {
    my ($newest) = reverse snapshots($registry);
    ok(wait_for(20, sub { my @now = snapshots($registry); $now[-1] gt $newest && @now == 3 }), 'every 2 s, and keeps 3') or diag(join ' ', snapshots($registry));
    ok(!-e $registry->dir . '/db/restored', 'what the restore has left was seen to');
    like(command('snapshot', '--list', '--dir', $registry->dir)->{out}, qr/^(?:\d{8}T\d{6}Z\n){3}/, '--list');
    $registry->stop;
    is_deeply([ grep { !/^\d|^logs/ } names($registry->dir . '/snapshots') ], [], 'nothing half is left');
};

finish();
