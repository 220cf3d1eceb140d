# Bytes of the database that a disk has changed: what is on that page fails, with a reason in the log, and all other
# repositories are served.
use v5.36;
use Registry limit => 120;
use Registry::Tools;
use Test::More;

use constant { PAGE => 4096, TYPE_AT => 25, LEAF => 5, REPOSITORIES => 150 };

# Stopped, with all pages in their files: the start has written a checkpoint.
my $left = do {
    my $registry = Registry->start;
    for my $i (1 .. REPOSITORIES) {
        $registry->push_image(sprintf('team/app%03d', $i), 'v1', [ random_bytes(100) ]) or BAIL_OUT('no images');
    }
    $registry->stop;
    Registry->start(dir => $registry->dir)->stop;
    $registry->dir;
};

sub copy_of ($dir) {
    my $copy = tempdir() . '/data';
    chmod 0755, $copy =~ s{/data$}{}r;
    system('cp', '-a', $dir, $copy) == 0 or die 'cp';
    return $copy;
}

# Changes a bit on the page that is chosen by the types of all.
sub damage ($file, $choose) {
    open my $f, '+<:raw', $file or die "$file: $!";
    my $pages = (-s $f) / PAGE;
    my @types = map { sysseek $f, $_ * PAGE + TYPE_AT, 0; sysread $f, my $type, 1; ord $type } 0 .. $pages - 1;
    my $page  = $choose->(@types);
    flip($file, $page * PAGE + ($page == 0 ? 100 : PAGE - 500), "\x04");
    return;
}

sub middle_leaf (@types) {
    my @leaves = grep { $types[$_] == LEAF } 0 .. $#types;
    cmp_ok(scalar @leaves, '>', 1, 'there are several pages');
    return $leaves[ @leaves / 2 ];
}

sub pulls ($registry) {
    my %status;
    $status{ $registry->get(sprintf '/v2/team/app%03d/manifests/v1', $_)->status }++ for 1 .. REPOSITORIES;
    return \%status;
}

# The library takes such a page for one that was never written.
sub blank ($file, $choose) {
    open my $f, '+<:raw', $file or die "$file: $!";
    my @types = map { sysseek $f, $_ * PAGE + TYPE_AT, 0; sysread $f, my $type, 1; ord $type } 0 .. (-s $f) / PAGE - 1;
    sysseek $f, $choose->(@types) * PAGE, 0;
    syswrite $f, "\0" x PAGE;
    return;
}

my $expected = qr/berkeley db|is damaged|a request failed/;
for my $case ((map { [ $_, \&damage ] } qw(tag repo manifest content)), (map { [ $_, \&blank ] } qw(tag manifest edge))) {
    my ($table, $change) = @$case;
    subtest(($change == \&blank ? 'zeros as ' : '') . "a page of table $table" => sub {
        my $dir = copy_of($left);
        $change->("$dir/db/$table", \&middle_leaf);
        if ($table eq 'edge') {
            my $registry = Registry->start(dir => $dir, expected => $expected);
            my $missing = () = map { $registry->get(sprintf '/v2/team/app%03d/blobs/%s', $_, $registry->get(sprintf '/v2/team/app%03d/manifests/v1', $_)->json->{layers}[0]{digest})->status =~ /^404$/ ? 1 : () } 1 .. REPOSITORIES;
            is($missing, 0, 'no layer is said to be missing, ...');
            unlike($registry->log, qr/recovering|process died/, '... and nothing had to be recovered');
            $registry->stop;
            return;
        }
        my $registry = Registry->start(dir => $dir, expected => $expected);
        for my $round (1, 2) {
            my $status = pulls($registry);
            is_deeply([ sort keys %$status ], [ 200, 500 ], 'some pulls fail, ...');
            cmp_ok($status->{200}, '>', REPOSITORIES / 4, '... and others do not');
        }
        is($registry->get('/healthz')->status, 200, 'the server is well');
        like($registry->log, qr/reading table $table: a page of its file is damaged/, '... and its log has the reason');
        unlike($registry->log, qr/recovering|process died/, '... and nothing had to be recovered');
        $registry->stop;
        $registry = Registry->start(dir => $dir, expected => $expected);
        ok(pulls($registry)->{200}, 'a restart changes nothing');
        $registry->crash;
        $registry = Registry->start(dir => $dir, expected => $expected);
        ok(pulls($registry)->{200}, '... nor does a crash');
        $registry->stop;
    });
}

subtest 'a process that ends while another reads a damaged page' => sub {
    my $dir = copy_of($left);
    damage("$dir/db/tag", \&middle_leaf);
    my $registry = Registry->start(dir => $dir, expected => qr/$expected|upstream/);
    my ($bad)    = grep { $registry->get(sprintf '/v2/team/app%03d/manifests/v1', $_)->status == 500 } 1 .. REPOSITORIES;
    my $read     = sub ($i) { my $n = 0; $registry->get(sprintf '/v2/team/app%03d/manifests/v1', $bad) while ++$n <= 1500; return $n - 1 };
    my @done = in_parallel(4, 60, sub ($i) {
        return $read->($i) if $i > 0;
        for (1 .. 100) { kill 'TERM', $registry->children('worker api') }
        return 1500;
    });
    is_deeply(\@done, [ (1500) x 4 ], 'all have done their part');
    is_deeply([ $registry->logged(qr{needs recovery|recovering|process died}) ], [], 'nothing had to be recovered');
    $registry->stop;
};

subtest 'a page that the counts for /metrics need' => sub {
    my $dir = copy_of($left);
    damage("$dir/db/blob", \&middle_leaf);
    my $registry = Registry->start(dir => $dir, expected => $expected);
    my $lines    = sub { return scalar $registry->logged(qr{numbers for /metrics can't be read.*table blob}) };
    ok(wait_for(30, $lines), 'the log says that it is damaged');
    sleep 2;
    cmp_ok($lines->(), '<', 10, '... and not all the time');
    $registry->stop;
};

subtest 'the first page of a table' => sub {
    my $dir = copy_of($left);
    damage("$dir/db/tag", sub (@types) { return 0 });
    my $ran = Registry->try([ '--dir', $dir, '--listen', '127.0.0.1', '--port', '0' ], timeout => 30);
    is($ran->{exit}, 1, 'ends the start');
    like($ran->{err}, qr/\Q$dir\E\/db can't be opened \(.*tag.*\).*restore --snapshot/, '... with a line that says what to do');
};

subtest 'a table that was cut at the end of a page' => sub {
    my $dir = copy_of($left);
    truncate "$dir/db/tag", int((-s "$dir/db/tag") / PAGE / 2) * PAGE or die $!;
    my $registry = Registry->start(dir => $dir, expected => qr/$expected|a table was cut/);
    ok(pulls($registry)->{500}, 'pulls fail');
    ok($registry->logged(qr/a table was cut: stop the server, and put the database back .*restore --snapshot.*table=tag/), '... the log says what to do');
    my $ready;
    ok(wait_for(20, sub { ($ready = $registry->get('/readyz'))->status == 503 && $ready->content =~ /table tag/ }), '/readyz is 503, with the table')
        or diag($ready->content);
    like($ready->content, qr/restore --snapshot/, '... and what to do');
    my $stat = Registry->try([ 'stat', '--dir', $dir ]);
    like($stat->{out}, qr/^What is wrong\n  database: table tag was cut: .*restore --snapshot/m, '... and so does stat');
    $registry->stop;
};

subtest 'the list of tables' => sub {
    my $dir  = copy_of($left);
    my $list = slurp("$dir/db/tables");
    spew("$dir/db/tables", $list =~ s/tally\n/tally?/r);
    my $registry = Registry->start(dir => $dir);
    is_deeply(pulls($registry), { 200 => REPOSITORIES }, 'harms nothing');
    is(slurp("$dir/db/tables"), $list, '... and is written anew');
    $registry->stop;
};

# The library would take the record for the end of the log, and the registry would come up without what is behind it.
subtest 'a byte of the log' => sub {
    my $dir = copy_of($left);
    my $registry = Registry->start(dir => $dir);
    $registry->push_image('team/last', 'v1', [ random_bytes(100) ]) or BAIL_OUT('no image');
    $registry->stop;
    my ($log) = reverse sort glob "$dir/db/log.*";
    flip($log, int(length(slurp($log) =~ s/\0+\z//r) / 2), "\x04");
    my @files = map { -s } glob "$dir/layers/sha256/*/*";
    my $ran   = Registry->try([ '--dir', $dir, '--listen', '127.0.0.1', '--port', '0' ], timeout => 30);
    is($ran->{exit}, 1, 'ends the start');
    like($ran->{err}, qr{\Q$dir\E/db can't be opened \(db/log\.\d+ is damaged behind byte \d+\).*restore --snapshot}, '... with a line that says what to do');
    is(scalar(() = $ran->{err} =~ /recovery failed/g), 1, '... after one try');
    unlike($ran->{err}, qr/process died/, '... and without other lines') or diag($ran->{err});
    is_deeply([ map { -s } glob "$dir/layers/sha256/*/*" ], \@files, '... and no file went');
};

# The note says how far the log was; one that is wrong must not keep the registry from starting.
subtest 'a byte of the note of the last checkpoint' => sub {
    my $note = slurp("$left/db/checkpoint");
    for my $at (0 .. length($note) - 1) {
        my $dir = copy_of($left);
        spew("$dir/db/checkpoint", join '', map { $_ == $at ? substr($note, $_, 1) ^. "\x40" : substr $note, $_, 1 } 0 .. length($note) - 1);
        my $registry = Registry->start(dir => $dir, expected => qr/the last checkpoint is damaged/);
        my $pulled   = pulls($registry);
        $registry->stop;
        is_deeply($pulled, { 200 => REPOSITORIES }, "byte $at harms nothing");
        isnt(slurp("$dir/db/checkpoint"), '', '... and it is written anew');
    }
};
finish();
