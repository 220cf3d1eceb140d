# Hooks run at least once and in order, whatever is killed in between; a recovery neither cuts nor repeats one that
# runs. REGISTRY_TEST_TAGS: how many tags (400; the full measure is 10000).
use v5.36;
use Registry limit => ($ENV{REGISTRY_TEST_TAGS} // 0) > 1000 ? 1200 : 150;
use Registry::Checks;
use Registry::Process;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(sleep time);

my $TAGS   = $ENV{REGISTRY_TEST_TAGS} // 400;
my $KILLED = qr/signal=9|signal 9|recovering |upstream|left in connection|process died/;

sub open_dir () { my $dir = tempdir(); chmod 0777, $dir; return $dir }

sub lines_of ($path) { return split /\n/, slurp($path) }

# What hooks wrote down, "repository number tag" each: all there? In order for each repository, but for what was
# repeated after a place in @begun?
sub is_whole ($lines, $want, $restarts, $name) {
    my (%seen, %last, @wrong, %repeated);
    for my $line (@$lines) {
        my ($repository, $number, $tag) = split / /, $line;
        if ($seen{"$repository $tag"}++) { $repeated{$repository}++; next }
        push @wrong, "$repository: $number behind $last{$repository}" if ($last{$repository} // 0) > $number;
        $last{$repository} = $number;
    }
    my @missing = grep { !$seen{$_} } @$want;
    is(scalar @missing, 0, "$name: none is lost") or diag("@missing[0 .. ($#missing < 9 ? $#missing : 9)]");
    is(scalar @wrong, 0, "$name: none is out of order") or diag(join "\n", @wrong);
    # What ran when all was killed, and what had run but wasn't written down.
    my @often = grep { $repeated{$_} > $restarts } keys %repeated;
    is(scalar @often, 0, "$name: at most the one that was under way is repeated") or diag(explain(\%repeated));
    return;
}

my @names = map { "r$_/app" } 1 .. 4;
my $each  = int($TAGS / @names);

# Pushes all tags, from a process for each repository.
sub push_all ($registry, $prefix) {
    my @told = in_parallel(scalar @names, 600, sub ($i) {
        my ($config, $manifest) = $registry->push_parts($names[$i]);
        return $registry->push_tags($names[$i], $manifest, map { "$prefix$_" } 1 .. $each);
    });
    return scalar grep { defined } @told;
}

sub wanted ($prefix) { return map { my $name = $_; map { "$name $prefix$_" } 1 .. $each } @names }

subtest 'everything is killed in the middle' => sub {
    my $seen  = open_dir();
    my @hook  = ('--on-tag', q{sleep 0.01; echo "$REGISTRY_REPOSITORY $REGISTRY_EVENT_ID $REGISTRY_TAG" >>"$SEEN/log"});
    my %o     = (env => { SEEN => $seen }, args => \@hook, expected => $KILLED);
    my $registry = Registry->start(%o);
    my $begun    = time;
    is(push_all($registry, 't'), 4, "$TAGS tags are pushed");
    note(sprintf 'pushed in %.1f s, %d hooks have run', time - $begun, scalar lines_of("$seen/log"));
    ok(wait_for(60, sub { lines_of("$seen/log") > 20 }), 'hooks have begun');
    cmp_ok(scalar lines_of("$seen/log"), '<', $TAGS, '... and are not done');
    my @all = ($registry->pid, $registry->processes);
    kill 'KILL', @all;
    wait_for(10, sub { !$registry->running && !$registry->processes });
    my $before = lines_of("$seen/log");
    $registry = Registry->start(%o, dir => $registry->dir);
    my ($keeper, $herald) = map { $registry->children($_) } qw(keeper herald);
    my %want = map { $_ => 1 } wanted('t');
    ok(wait_for($TAGS > 1000 ? 600 : 60, sub { my %got = map { s/ \d+ / /r => 1 } lines_of("$seen/log"); %got == %want }), 'after a start the rest runs');
    note(sprintf '%.1f s since the first push; %d lines, %d of them before', time - $begun, scalar lines_of("$seen/log"), $before);
    is_whole([ lines_of("$seen/log") ], [ wanted('t') ], 1, 'all killed');
    cmp_ok(memory_peak_kb($herald), '<', Registry->sanitized ? 400_000 : 30_000, 'the herald took little memory');
    cmp_ok(memory_peak_kb($keeper), '<', Registry->sanitized ? 400_000 : 60_000, 'the keeper, too');
    note('peaks: herald ' . memory_peak_kb($herald) . ' kB, keeper ' . memory_peak_kb($keeper) . ' kB');
};

subtest 'herald and keeper are killed again and again' => sub {
    my $seen     = open_dir();
    my $registry = Registry->start(env => { SEEN => $seen }, expected => $KILLED,
        args => [ '--on-tag', q{sleep 0.01; echo "$REGISTRY_REPOSITORY $REGISTRY_EVENT_ID $REGISTRY_TAG" >>"$SEEN/log"} ]);
    is(push_all($registry, 'u'), 4, "$TAGS tags are pushed");
    my $kills = 0;
    for my $i (1 .. 6) {
        sleep 0.2;
        kill 'KILL', $registry->children($i % 2 ? 'keeper' : 'herald') and $kills++;
        wait_for(10, sub { $registry->children('keeper') && $registry->children('herald') });
    }
    is($kills, 6, 'six are killed');
    my %want = map { $_ => 1 } wanted('u');
    ok(wait_for($TAGS > 1000 ? 600 : 60, sub { my %got = map { s/ \d+ / /r => 1 } lines_of("$seen/log"); %got == %want }), 'all run');
    is_whole([ lines_of("$seen/log") ], [ wanted('u') ], 3, 'some killed');
};

# Twenty who die outside of the database make the master recover it.
sub recover ($registry) {
    my $before = () = $registry->logged(qr/recovering the database/);
    for (1 .. 60) {
        kill 'KILL', $registry->children('worker');
        return 1 if wait_for(0.5, sub { $before < (() = $registry->logged(qr/recovering the database/)) });
    }
    return 0;
}

subtest 'a recovery' => sub {
    my $seen     = open_dir();
    my $registry = Registry->start(env => { SEEN => $seen }, expected => $KILLED, args => [ '--on-tag',
        q{echo "begin $REGISTRY_TAG $$" >>"$SEEN/log"; until [ -e "$SEEN/go" ]; do sleep 0.1; done; echo "end $REGISTRY_TAG $$" >>"$SEEN/log"} ]);
    my ($herald) = $registry->children('herald');
    is_status($registry->push_image('a/b', 'one', [ random_bytes(10) ]), 201, 'a push');
    ok(wait_for(10, sub { slurp("$seen/log") =~ /begin one/ }), 'its hook runs');
    ok(recover($registry), 'the database is recovered');
    ok(wait_for(20, sub { $registry->get('/healthz')->status == 200 && $registry->children('keeper') }), 'all are back');
    is(join(' ', $registry->children('herald')), $herald, 'the herald never left');
    ok(wait_for(20, sub { $registry->push_image('c/d', 'two', [ random_bytes(10) ])->status == 201 }), 'another push');
    ok(wait_for(10, sub { slurp("$seen/log") =~ /begin two/ }), 'its hook runs beside the other');
    spew("$seen/go", '');
    ok(wait_for(10, sub { slurp("$seen/log") =~ /end one/ && slurp("$seen/log") =~ /end two/ }), 'both come to their ends');
    is_status($registry->push_image('a/b', 'three', [ random_bytes(10) ]), 201, 'a last push');
    ok(wait_for(10, sub { slurp("$seen/log") =~ /end three/ }), 'its hook has run');
    is(scalar(() = slurp("$seen/log") =~ /begin one/g), 1, 'the first was not repeated');
};

subtest 'nothing configured' => sub {
    my $registry = Registry->start;
    is_status($registry->push_image('a/b', 'one', [ random_bytes(10) ]), 201, 'a push');
    ok(wait_for(10, sub { $registry->output =~ / - tagged with a\/b:one\n/ }), 'is in the log');
    my $lines = $registry->output;
    $registry->stop;
    $registry = Registry->start(dir => $registry->dir, args => [ '--on-tag', 'echo late' ]);
    is_status($registry->push_image('a/b', 'two', [ random_bytes(10) ]), 201, 'another, now with a hook');
    ok(wait_for(10, sub { $registry->output =~ /late/ }), 'runs it');
    unlike($registry->output, qr/a\/b:one/, 'what was before is not told again');
};

finish();
