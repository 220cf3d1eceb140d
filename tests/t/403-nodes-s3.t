# Two servers of one database, with their blobs in one bucket: the index of a layer is made once, is an object beside the
# blobs, and each server reads it from there. A damaged one is made again, and each server keeps its own copies in bounds.
use v5.36;
use Registry limit => 500;
use Registry::Checks;
use Registry::Layers;
use Registry::Postgresql;
use Registry::S3;
use Registry::Tools;
use Registry::V1 ();
use JSON::PP qw(decode_json);
use Test::More;

skip_or_fail('the program was built without libcurl (Debian: libcurl4-openssl-dev)') if slurp(Registry->program) !~ /libcurl\.so/;
skip_or_fail('PostgreSQL 15 is not installed (Debian: postgresql-15)') if !Registry::Postgresql->programs;
skip_or_fail('the program was built without PostgreSQL (Debian: libpq-dev)') if slurp(Registry->program) !~ /kv_gate/;

my $pg  = Registry::Postgresql->start;
my $s3  = Registry::S3->start;
my @to  = ('--database', $pg->database('registry'), '--blobs', $s3->url);
my %env = (PGPASSWORD => $pg->password, %{ $s3->env });

sub start_node (@to) {
    my $port = free_port();
    return Registry->start(
        env      => \%env,
        expected => qr/signal|process died|S3|upstream|database|left in connection|aborting|recovering|doesn't lead/,
        listen   => [ '--listen', '127.0.0.1', '--port', $port ],
        args     => [ @to, '--node-address', "127.0.0.1:$port", qw(--lease 1s --gc-interval 1s --history-keep 0s --browse-workers 2) ],
    );
}
sub command ($node, @words) { return Registry->try([ @words, '--dir', $node->dir, @to ], env => \%env, timeout => 100) }
sub leads ($node) { return grep { $_->{self} && $_->{leads} } @{ decode_json(command($node, 'stat', '--json')->{out})->{nodes} // [] } }
sub hex_of ($layer) { return digest($layer->{blob}) =~ s/.*://r }
sub key_of ($hex)   { return 'registry/index/sha256/' . substr($hex, 0, 2) . "/$hex" }
sub made ($hex)     { return scalar grep { $_ eq 'PUT ' . key_of($hex) } $s3->requests }
sub copies ($node, $hex) { return grep { m{^cache/\Q$hex\E} } $node->files('cache') }
sub path ($repository) { return "/v2/$repository/_image/v1/blobs/etc/motd" }

# Workers keep indexes open, and a process that has a copy doesn't ask for the object.
sub forget ($node, $hex) {
    unlink $node->dir . "/$_" for copies($node, $hex);
    my @old = $node->children('worker browse');
    kill 'TERM', @old;
    wait_for(20, sub { my %is = map { $_ => 1 } $node->children('worker browse'); keys %is >= 2 && !grep { $is{$_} } @old });
    return;
}
sub restart_keeper ($node) {
    my ($old) = $node->children('keeper');
    kill 'KILL', $old;
    return wait_for(20, sub { my ($new) = $node->children('keeper'); $new && $new != $old });
}
# A layer whose digest begins with these digits, with a file that says so.
sub layer_with ($digits) {
    for my $i (1 .. 20_000) {
        my $layer = gzip_layer(tar_of("f etc/motd $digits-$i"));
        return $layer if hex_of($layer) =~ /^$digits/;
    }
    die 'no such layer';
}

my @nodes = (start_node(@to), start_node(@to));
my ($first, $second) = @nodes;
ok(wait_for(30, sub { leads($first) }), 'two servers run, and the first one leads');

my $layer = gzip_layer(join('', map { tar_entry(name => sprintf('many/%05d', $_), data => random_bytes(20)) } 1 .. 2000) . tar_of('f etc/motd hello'));
my $hex   = hex_of($layer);

subtest 'made once, for both' => sub {
    push_layers($second, 'team/app', 'v1', $layer);
    for my $node (@nodes) {
        ok(wait_for(30, sub { $node->get(path('team/app'))->status == 200 }), 'the image is shown');
        is($node->get(path('team/app'))->content, 'hello', '... whole');
    }
    is(made($hex), 1, 'its index was made once');
    is(scalar(my @there = $s3->objects(key_of($hex))), 1, '... and is an object');
    is_deeply([ map { $_->files('index') } @nodes ], [], 'no node has an index for itself');
    is(scalar(grep { $_ eq "cache/$hex" } map { copies($_, $hex) } @nodes), 2, '... but each a copy');
    is_status($second->get('/v2/team/app/_image/v1/tree/many?n=5'), 200, 'a list');
};

subtest 'a damaged copy' => sub {
    forget($second, 'none');
    flip($second->dir . "/cache/$hex", $_) for 0, 100, 5000;
    is($second->get(path('team/app'))->content, 'hello', 'the image is shown');
    spew($second->dir . "/cache/$hex", 'something else');
    forget($second, 'none');
    is($second->get(path('team/app'))->content, 'hello', '... also when it is none');
    is(made($hex), 1, 'and no index is made for that');
};

subtest 'a damaged object' => sub {
    my $file = $s3->file(key_of($hex));
    my $good = slurp($file);
    my $size = length $good;
    my $is   = 1;
    my $wrong = sub ($name, $bytes) {
        spew($file, $bytes);
        forget($_, $hex) for @nodes;
        is($second->get(path('team/app'))->content, 'hello', "$name: the image is shown");
        is(made($hex), ++$is, '... by an index that was made again');
        ok(slurp($file) eq $good, '... and the object is whole');
        is($first->get(path('team/app'))->content, 'hello', '... for the other node, too');
    };
    for my $part (0, 0.3, 0.7, 0.99) {
        my $at = int $part * ($size - 1);
        $wrong->("byte $at of $size", substr($good, 0, $at) . chr(ord(substr $good, $at, 1) ^ 16) . substr($good, $at + 1));
    }
    $wrong->('half of it', substr $good, 0, $size / 2);
    $wrong->('nothing',    '');
    my $other = gzip_layer(tar_of('f etc/motd other'));
    push_layers($first, 'team/other', 'v1', $other);
    is($first->get(path('team/other'))->content, 'other', 'another image');
    $wrong->('that of another layer', slurp($s3->file(key_of(hex_of($other)))));
};

subtest 'a lost object' => sub {
    unlink $s3->file(key_of($hex)) or die $!;
    forget($second, $hex);
    is($second->get(path('team/app'))->content, 'hello', 'is made again, although the leader has a copy');
    is(scalar(my @there = $s3->objects(key_of($hex))), 1, '... and is there');
};

subtest 'fsck' => sub {
    my $file = $s3->file(key_of($hex));
    works(command($second, 'fsck', '--rate', '0'), 'finds nothing');
    flip($file, 3000);
    my $ran = command($second, 'fsck', '--rate', '0');
    like($ran->{out}, qr/index-damaged.*sha256:$hex/, 'a damaged index is found, on any node');
    is(scalar(my @there = $s3->objects(key_of($hex))), 1, '... and stays');
    $s3->forget_requests;
    like(command($first, 'fsck', '--repair', '--rate', '0')->{out}, qr/: 1 findings?, 1 repaired/, 'a repair');
    ok(wait_for(30, sub { made($hex) == 1 }), '... has it made again');
    ok(wait_for(30, sub { command($second, 'fsck', '--rate', '0')->{exit} == 0 }), 'nothing is found then');
};

subtest 'a backup has the indexes, and what is restored from it' => sub {
    my $backups = tempdir();
    chmod 0755, $backups;
    works(command($second, 'backup', $backups), 'a backup');
    my ($backup) = glob "$backups/*";
    ok(-s "$backup/index/sha256/" . substr($hex, 0, 2) . "/$hex", '... has the index');
    my @as = is_root() ? ('--run-as', 'www-data') : ();
    my $restored = Registry->try([ 'restore', $backup, '--dir', tempdir() . '/restored', @as, '--database', $pg->database('restored'), '--blobs', $s3->url('restored') ],
        env => \%env, timeout => 100);
    works($restored, 'a restore into another database and prefix');
    is(scalar(my @there = $s3->objects(key_of($hex) =~ s/registry/restored/r)), 1, '... has it as an object');
};

subtest 'the first API' => sub {
    my @chain = Registry::V1::random_chain(3);
    my @steps = Registry::V1->new($first)->push_images('old/app', 'latest', @chain);
    is_deeply([ grep { $_->[1]->status != $_->[2] } @steps ], [], 'images are pushed');
    ok(wait_for(30, sub { $second->get('/v2/old/app/manifests/latest')->status == 200 }), '... and are a manifest on the other node');
    is(scalar @{ Registry::V1->new($second)->pull_images('old/app', 'latest')->{images} }, 3, '... which has them');
    forget($_, $hex) for @nodes;
    my $pulled = Registry::V1->new($second)->pull_images('team/app', 'v1');
    is(scalar @{ $pulled->{images} }, 1, 'an image of the second API is pulled by the first one');
};

subtest 'it goes with its layer, on both nodes' => sub {
    my ($gone, $kept) = map { layer_with($_) } '00', '00[89a-f]';
    my ($of_gone, $of_kept) = map { hex_of($_) } $gone, $kept;
    push_layers($first, 'gone/app', 'v1', $gone);
    push_layers($first, 'kept/app', 'v1', $kept);
    for my $node (@nodes) {
        is_status($node->get(path($_)), 200, "$_ is shown") for 'gone/app', 'kept/app';
        is_blob($node, 'gone/app', $gone->{blob}, '... and pulled');
    }
    works(command($second, 'repo', 'rm', 'gone/app', '--now'), 'an image is removed');
    ok(wait_for(60, sub { !grep { /$of_gone/ } $s3->objects('registry/') }), 'its layer and its index go from the bucket');
    ok(wait_for(30, sub { !copies($first, $of_gone) }), '... and from the cache of the leader');
    cmp_ok(scalar(my @there = copies($second, $of_gone)), '>=', 1, 'the other node has a copy yet');
    utime time - 7200, time - 7200, $second->dir . "/$_" for copies($second, $of_gone), copies($second, $of_kept);
    restart_keeper($second); # a new one begins with these
    ok(wait_for(30, sub { !copies($second, $of_gone) }), '... and removes it itself');
    cmp_ok(scalar(my @still = copies($second, $of_kept)), '>=', 1, 'but not those of what is there');
    my $orphan = $s3->file(key_of('00' . 'ab' x 31));
    run([ 'mkdir', '-p', $orphan =~ s{/[^/]*$}{}r ]);
    spew($orphan, 'x');
    restart_keeper($first);
    ok(wait_for(60, sub { !-e $orphan }), 'an index without a layer is swept');
};

subtest 'the other node leads' => sub {
    ok(wait_for(30, sub { leads($first) || leads($second) }), 'one leads');
    my ($leader) = grep { leads($_) } @nodes;
    my ($left)   = grep { $_ != $leader } @nodes;
    $leader->crash;
    my $late = gzip_layer(tar_of('f etc/motd late'));
    push_layers($left, 'team/late', 'v1', $late);
    ok(wait_for(60, sub { $left->get(path('team/late'))->status == 200 }), 'and makes indexes');
    is($left->get(path('team/late'))->content, 'late', '... of what was pushed then');
    my $before = made($hex);
    is($left->get(path('team/app'))->content, 'hello', 'it has what the first one made');
    works(command($left, 'fsck', '--rate', '0'), 'fsck finds nothing');
    is(made($hex), $before, '... and nothing was made again');
};

subtest 'two servers begin at the same time' => sub {
    my @new = ('--database', $pg->database('new'), '--blobs', $s3->url('new'));
    $_->stop for grep { $_->running } @nodes;
    $s3->forget_requests;
    $s3->fail(methods => 'GET', slow => 4); # the first one has looked, and not written yet, when the second one looks
    my ($other, @began) = in_parallel(2, 60, sub ($i) {
        wait_for(20, sub { grep { /^GET $/ } $s3->requests }) if $i;
        start_node(@new)->stop;
        return 'fine';
    });
    $s3->fail;
    is_deeply([ $other, @began ], [ 'fine', 'fine' ], 'and both start');
};
finish();
