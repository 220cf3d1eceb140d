# Backups while images are pushed, moved, deleted and collected, and while backups are killed: each
# backup that is complete restores, and each tag of its moment pulls. BACKUP_ROUNDS: how many.
# BACKUP_POSTGRESQL: with the metadata there (398-backup-postgresql.t).
use v5.36;
use Registry limit => 200;
use Registry::Checks;
use Registry::Postgresql;
use Registry::Process;
use Registry::Tools;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

my $rounds = $ENV{BACKUP_ROUNDS} // 6;
my $seed   = $ENV{BACKUP_SEED}   // time * 1000 % 1_000_000;
srand $seed;
diag("BACKUP_SEED=$seed");

my $pg = $ENV{BACKUP_POSTGRESQL} ? Registry::Postgresql->start : undef;

# A recovery may cut off a push, whose upload could be continued: it expires soon.
my $registry = Registry->start(
    args     => [ '--lease', '0s', '--gc-interval', '1s', '--history-keep', '0s', '--upload-expiry', '4s', $pg ? ('--database', $pg->database('load')) : () ],
    env      => { $pg ? (PGPASSWORD => $pg->password) : () },
    expected => qr/process (ended|killed|died)|recover|was killed|hangs/,
);
my $tmp     = tempdir();
my $backups = "$tmp/backups";

# Pushes, overwrites and deletes its own tags, until it is told to stop. What it was told to be done
# is in its file, a line for each: when, tag, and the digest or "-".
sub work ($number) {
    open my $said, '>', "$tmp/said.$number" or die "said: $!";
    $said->autoflush(1);
    my $client = $registry->with;
    srand $seed + $number;
    until (-e "$tmp/stop") {
        my $tag = int rand 8;
        my $repository = "load/w$number";
        if (rand() < 0.7) {
            my $layer = random_bytes(2000 + int rand 30_000);
            my (undef, $manifest) = $client->image_of([$layer]);
            my $begun = time;
            my $answer = $client->push_image($repository, $tag, [$layer]);
            print {$said} join(' ', $begun, time, $tag, digest($manifest)), "\n" if $answer->status == 201;
        } else {
            my $digest = $client->head("/v2/$repository/manifests/$tag")->header('Docker-Content-Digest') // next;
            my $begun  = time;
            my $answer = $client->delete("/v2/$repository/manifests/$digest");
            print {$said} join(' ', $begun, time, $tag, '-'), "\n" if $answer->status == 202;
        }
    }
    return;
}

my @workers = map {
    my $number = $_;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) { eval { work($number) }; print STDERR $@ if $@; POSIX::_exit($@ ? 1 : 0) }
    $pid;
} 1 .. 3;

sub try_backup (@more) { return Registry->try([ 'backup', $backups, '--dir', $registry->dir, @more ], timeout => 60) }

my $killed = 0;
for (1 .. $rounds) {
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDOUT, '>', '/dev/null' or POSIX::_exit(126);
        open STDERR, '>', '/dev/null' or POSIX::_exit(126);
        exec Registry->program, 'backup', $backups, '--dir', $registry->dir or POSIX::_exit(127);
    }
    sleep rand 0.8;
    my ($child) = grep { title_of($_) =~ /^command backup/ } $registry->processes;
    # Mostly the command; now and then the server's part of it, which may be inside the database.
    my $victim = defined $child && rand() < 0.3 ? $child : $pid;
    $killed += kill 'KILL', $victim;
    waitpid $pid, 0;
    ok(wait_for(20, sub { !grep { title_of($_) =~ /^command backup/ } $registry->processes }), 'a killed backup leaves no process');
    next if $_ % 2;
    my $ran;
    ok(wait_for(20, sub { $ran = try_backup(); $ran->{exit} == 0 }), 'and the next one works') or diag($ran->{err});
}
cmp_ok($killed, '>', 0, "$killed were killed");
sleep 1;
my $before = time;
my $last   = try_backup();
my $after  = time;
works($last, 'the last one');
spew("$tmp/stop", '');
for my $pid (@workers) { waitpid $pid, 0; is($?, 0, 'a worker ended well') }

# What a tag must be: what was acknowledged before the backup began, unless something was begun since.
sub expected_tags ($number) {
    my (%sure, %open);
    for my $line (split /\n/, slurp("$tmp/said.$number")) {
        my ($begun, $done, $tag, $digest) = split / /, $line;
        $sure{$tag} = $digest if $done < $before;
        $open{$tag} = 1 if $done >= $before && $begun <= $after + 1;
    }
    return (\%sure, \%open);
}

opendir my $d, $backups or die "$backups: $!";
my @names = sort grep { /^\d/ } readdir $d;
cmp_ok(scalar @names, '>=', $rounds / 2, scalar(@names) . ' complete backups');
my ($name) = $last->{out} =~ /^backup (\S+):/;
for my $one (@names[0, -1]) {
    my $to = "$tmp/restored.$one";
    my @restore = ('restore', "$backups/$one", '--dir', $to, is_root() ? ('--run-as', 'www-data') : ());
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDOUT, '>', '/dev/null' or POSIX::_exit(126);
        exec Registry->program, @restore or POSIX::_exit(127);
    }
    sleep rand 0.3;
    kill 'KILL', $pid;
    waitpid $pid, 0;
    # If it was done before it could be killed, another directory is filled.
    $restore[3] = $to = "$to.again" if -e "$to/db/format";
    works(Registry->try(\@restore, timeout => 60), "restore of $one, after one that was killed");
    works(Registry->try([ 'fsck', '--dir', $to ], timeout => 60), '... in which fsck finds nothing');
    my $copy = Registry->start(dir => $to, args => [ '--lease', '1h' ]);
    my ($tags, @bad) = (0);
    for my $number (1 .. 3) {
        my ($sure, $open) = expected_tags($number);
        my %is;
        for my $tag (@{ $copy->get("/v2/load/w$number/tags/list")->json->{tags} // [] }) {
            my $manifest = $copy->get("/v2/load/w$number/manifests/$tag");
            $is{$tag} = $manifest->header('Docker-Content-Digest');
            $tags++;
            for my $part ($manifest->json->{config}, @{ $manifest->json->{layers} }) {
                my $blob = $copy->get("/v2/load/w$number/blobs/$part->{digest}");
                push @bad, "w$number:$tag $part->{digest}" if digest($blob->content) ne $part->{digest};
            }
        }
        next if $one ne $name;
        for my $tag (keys %$sure) {
            next if $open->{$tag} || ($is{$tag} // '-') eq $sure->{$tag};
            push @bad, "w$number:$tag is " . ($is{$tag} // '-') . ", not $sure->{$tag}";
        }
    }
    is_deeply(\@bad, [], "$one: $tags tags pull");
    $copy->stop;
}
is_tidy($registry);
finish();
