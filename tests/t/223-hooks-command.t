# "docker-registry-server hooks": what waits, runs and failed, with a server and without, and hooks by hand.
use v5.36;
use Registry limit => 150;
use Registry::Checks;
use Registry::Process;
use Registry::Tools;
use IO::Socket::UNIX ();
use JSON::PP ();
use Socket qw(SOCK_SEQPACKET);
use Test::More;
use Time::HiRes qw(time);

sub open_dir () { my $dir = tempdir(); chmod 0777, $dir; return $dir }

# Runs "hooks" on a registry's directory. Its lines, each as [ID, STATE, TRIES, NAME, REPO:TAG, LAST-LINE].
sub hooks ($registry, @args) { return Registry->try([ 'hooks', '--dir', $registry->dir, @args ], env => { CALLER => 'here' }) }

sub list ($registry) {
    my $ran = hooks($registry);
    return [ [ 'exit', $ran->{exit}, $ran->{err} ] ] if $ran->{exit};
    return [ map { [ split /\t/, $_, -1 ] } split /\n/, $ran->{out} ];
}

# Without the ids.
sub rows ($registry) { return [ map { my @f = @$_; shift @f; \@f } @{ list($registry) } ] }

sub id_of ($registry, $what) {
    my ($row) = grep { $_->[4] eq $what } @{ list($registry) };
    return $row ? $row->[0] : undef;
}

my $EXPECTED = qr/signal=9|recovering|upstream/;

subtest 'with a server' => sub {
    my $seen     = open_dir();
    my $hook     = q{case "$REGISTRY_TAG" in bad) printf 'no\tgood \001\n'; exit 1;; slow*) until [ -e "$SEEN/go" ]; do sleep 0.05; done;; esac; echo "$REGISTRY_TAG" >>"$SEEN/log"};
    my $registry = Registry->start(env => { SEEN => $seen }, args => [ '--hook-retries', '0', '--on-tag', $hook ], expected => $EXPECTED);
    is_deeply(list($registry), [], 'nothing is to be done');
    is(hooks($registry, '--json')->{out}, "[]\n", '... as JSON');
    my ($config, $manifest) = $registry->push_parts('a/b');
    $registry->push_tags('a/b', $manifest, 'bad');
    my ($config2, $other) = $registry->push_parts('c/d');
    $registry->push_tags('c/d', $other, 'slow1', 'slow2');
    ok(wait_for(10, sub { my $r = rows($registry); @$r == 3 && $r->[0][0] eq 'running' && $r->[2][0] eq 'failed' }), 'three hooks');
    is_deeply(rows($registry), [
        [ 'running', 0, 'tag', 'c/d:slow1', '' ], [ 'waiting', 0, 'tag', 'c/d:slow2', '' ], [ 'failed', 1, 'tag', 'a/b:bad', 'no good ?' ],
    ], 'one runs, one waits, one failed, and said why');
    my $json = JSON::PP->new->decode(hooks($registry, '--json')->{out});
    is_deeply([ map { $_->{state} } @$json ], [qw(running waiting failed)], 'the same as JSON');
    is($json->[2]{line},   'no good ?',       '... with the last line');
    is($json->[2]{digest}, digest($manifest), '... and more');
    is($json->[2]{id},     id_of($registry, 'a/b:bad'), '... and the ids');

    my $bad = id_of($registry, 'a/b:bad');
    works(hooks($registry, '--retry', $bad), '--retry');
    ok(wait_for(10, sub { 2 == (() = $registry->logged(qr/msg="hook failed"/)) }), '... runs it once more, at once');
    ok(wait_for(10, sub { (grep { $_->[3] eq 'a/b:bad' } @{ rows($registry) })[0][0] eq 'failed' }), '... in vain');
    works(hooks($registry, '--drop', $bad), '--drop');
    is(id_of($registry, 'a/b:bad'), undef, '... and it is gone');
    works(hooks($registry, '--drop', id_of($registry, 'c/d:slow2')), 'one that waits can be dropped as well');
    spew("$seen/go", '');
    ok(wait_for(10, sub { !@{ list($registry) } }), 'what ran is done, and leaves the list');
    is(slurp("$seen/log"), "slow1\n", '... and what was dropped never ran');

    is_refused(hooks($registry, '--retry', '4711'), qr/there is no waiting or failed hook 4711/, 'a number that there is not');
    is(hooks($registry, '--retry', 'x')->{exit},           2, 'no number is wrong usage');
    is(hooks($registry, 'x')->{exit},                      2, 'and so is another word');
    is(hooks($registry, '--json', '--drop', '1')->{exit},  2, 'and two things at once');
    is(Registry->try([ '--json' ])->{exit},                2, 'and an option of it without it');
    is_status($registry->get('/healthz'), 200, 'the server takes no notice');
    is(scalar(grep { title_of($_) =~ /^command/ } $registry->processes), 0, 'no process is left');
};

subtest 'a failing one, tried again after a while' => sub {
    my $seen     = open_dir();
    my $registry = Registry->start(env => { SEEN => $seen }, args => [ '--on-tag', q{echo x >>"$SEEN/log"; echo not yet; [ -e "$SEEN/good" ]} ]);
    is_status($registry->push_image('a/b', 'v1', [ random_bytes(10) ]), 201, 'a push');
    my $row;
    ok(wait_for(20, sub { $row = rows($registry)->[0]; $row && $row->[1] == 2 }), 'fails twice');
    is_deeply($row, [ 'waiting', 2, 'tag', 'a/b:v1', 'not yet' ], '... and waits');
    my $json = JSON::PP->new->decode(hooks($registry, '--json')->{out});
    like($json->[0]{due}, qr/^\d{4}-.*Z$/, '... until then');
    spew("$seen/good", '');
    works(hooks($registry, '--retry', id_of($registry, 'a/b:v1')), 'who knows that it will do now');
    ok(wait_for(3, sub { !@{ list($registry) } }), 'need not wait');
};

subtest 'without a server' => sub {
    my $seen     = open_dir();
    my $registry = Registry->start(env => { SEEN => $seen }, expected => $EXPECTED, args => [ '--hook-retries', '0', '--on-tag', 'echo no; exit 1' ]);
    is_status($registry->push_image('a/b', 'v1', [ random_bytes(10) ]), 201, 'a push');
    ok(wait_for(10, sub { my $r = rows($registry); @$r && $r->[0][0] eq 'failed' }), 'its hook fails');
    kill KILL => $registry->pid, $registry->processes;
    ok(wait_for(10, sub { !$registry->running && !$registry->processes }), 'all is killed');
    my $alone = list($registry);
    is_deeply($alone->[0], [ $alone->[0][0], 'failed', 1, 'tag', 'a/b:v1', 'no' ], 'the list is there');
    works(hooks($registry, '--retry', $alone->[0][0]), 'one can be tried again');
    is(list($registry)->[0][1], 'waiting', '... and waits for the server');
    my $owners = join ' ', sort map { (stat $registry->dir . "/$_")[4] } $registry->files('db');
    unlike($owners, qr/^0 | 0$/, 'no file has become root\'s') if is_root();
    works(Registry->try([ 'hooks', 'test', 'tag', 'a/b:v1', '--dir', $registry->dir, '--on-tag', 'echo "by hand: $2"' ]), 'by hand, too');
    $registry = Registry->start(dir => $registry->dir, args => [ '--on-tag', 'echo again $2' ]);
    ok(wait_for(10, sub { $registry->output =~ /again a\/b:v1/ }), 'it does, with the next start');
    ok(!@{ list($registry) }, 'and that was it');

    my $empty = tempdir();
    my $ran   = Registry->try([ 'hooks', '--dir', $empty ]);
    is_refused($ran, qr/there is no registry in \Q$empty\E/, 'a directory without a registry');
    opendir(my $dir, $empty) or die;
    is(scalar(grep { !/^\.\.?$/ } readdir $dir), 0, '... stays as it is');
    is_refused(Registry->try([ 'hooks', '--dir', "$empty/none" ]), qr/there is no registry in \S+none: start the server with this --dir once/, 'no directory');
};

subtest 'hooks test' => sub {
    my $seen     = open_dir();
    my $registry = Registry->start(user => 'ann:secret', env => { SEEN => $seen },
        args => [ '--user', 'ann:secret', '--on-tag', q{echo "$0 $1 $2 by $REGISTRY_ACTOR $REGISTRY_DIGEST $REGISTRY_MEDIA_TYPE"; cat; exit ${CODE:-0}},
            '--on-pre-tag', q{[ "$REGISTRY_TAG" != bad ] || { echo "not bad"; exit 1; }}, '--on-untag', 'echo one; exit 7', '--on-delete', 'sleep 100', '--hook-timeout', '2s' ]);
    my $layer = random_bytes(10);
    my ($config, $manifest) = $registry->image_of([$layer]);
    is_status($registry->push_image('library/app', 'latest', [$layer]), 201, 'a push');
    my $id = digest($config) =~ s/.*://r;
    ok(wait_for(10, sub { $registry->output =~ /hooks\/tag: (tag \Q$id\E app by ann.*)\n/ }), 'runs a hook');
    my ($said) = $registry->output =~ /hooks\/tag: (.*)\n/;
    my $ran = hooks($registry, 'test', 'tag', 'library/app');
    works($ran, 'by hand');
    is($ran->{out}, "$said\n", 'it gets the same, and its output is ours');
    $ran = hooks($registry, 'test', 'untag', 'library/app:latest');
    is($ran->{out}, "one\n", 'one that fails');
    is_refused($ran, qr/hook untag ended with exit code 7/, '... says how');
    is_refused(hooks($registry, 'test', 'delete', 'library/app:latest'), qr/longer than --hook-timeout/, 'one that hangs is ended');
    is_refused(hooks($registry, 'test', 'manifest', 'library/app:latest'), qr/there is no hook manifest/, 'one that there is not');
    is_refused(hooks($registry, 'test', 'nonsense', 'library/app:latest'), qr/no hook called nonsense/, 'no such hook');
    is_refused(hooks($registry, 'test', 'tag', 'library/app:none'), qr/there is no tag none/, 'no such tag');
    is_refused(hooks($registry, 'test', 'tag', 'no/such'), qr/no\/such/, 'no such repository');
    is_refused(hooks($registry, 'test', 'tag', 'A B'), qr/is not of the form NAME:TAG/, 'no name');
    works(hooks($registry, 'test', 'pre-tag', 'library/app'), 'a pre-hook that lets it through');
    is_refused(hooks($registry, 'test', 'pre-tag', 'library/app:bad'), qr/there is no tag bad/, 'what is not there is judged by pushing');
    is_deeply(list($registry), [], 'none of it is in the list');
};

subtest 'a recovery meanwhile' => sub {
    my $registry = Registry->start(expected => $EXPECTED, args => [ '--on-tag', 'true' ]);
    is_status($registry->push_image('a/b', 'v1', [ random_bytes(10) ]), 201, 'a push');
    my @told = in_parallel(5, 60, sub ($i) {
        if ($i == 0) {
            for (1 .. 8) { kill 'KILL', $registry->children('worker'); select undef, undef, undef, 0.3 }
            return 1;
        }
        my %ended;
        for (1 .. 15) {
            my $ran = hooks($registry);
            $ended{ $ran->{exit} == 0 ? 'done' : $ran->{err} =~ /try again/ ? 'told to try again' : "exit $ran->{exit}: $ran->{err}" }++;
        }
        return \%ended;
    });
    shift @told;
    is(scalar(grep { defined } @told), 4, 'four ask again and again');
    my %all;
    for my $t (grep { defined } @told) { $all{$_} += $t->{$_} for keys %$t }
    is_deeply([ grep { !/^(done|told to try again)$/ } keys %all ], [], 'each gets a list, or a reason to try again') or diag(explain(\%all));
    cmp_ok($all{done} // 0, '>', 10, '... mostly a list');
    ok(wait_for(20, sub { $registry->get('/healthz')->status == 200 }), 'the server goes on');
};

subtest 'the socket' => sub {
    my $registry = Registry->start;
    my $path     = $registry->dir . '/run/control.sock';
    is((stat $path)[2] & 07777, 0600, 'is for its user only');
    my $connect = sub () { return IO::Socket::UNIX->new(Type => SOCK_SEQPACKET, Peer => $path) };
    my @idle = map { $connect->() // () } 1 .. 20;
    ok(wait_for(20, sub { hooks($registry)->{exit} == 0 }), 'who connects and says nothing keeps nobody out for long');
    close $_ for @idle;
    my $nonsense = $connect->();
    syswrite $nonsense, "hooks\0list\0";    # without descriptors
    ok(wait_for(5, sub { my $r = ''; vec($r, fileno $nonsense, 1) = 1; select $r, undef, undef, 0 }), 'nonsense gets an answer');
    sysread $nonsense, my $answer, 300;
    like($answer, qr/invalid command/, '... that says so');
    SKIP: {
        skip 'only root can become somebody else', 1 if !is_root();
        my $ran = Registry->try([ 'hooks', '--dir', $registry->dir ], prefix => [ 'setpriv', '--reuid', 'nobody', '--regid', 'nogroup', '--clear-groups' ]);
        is_refused($ran, qr/is closed to nobody/, 'somebody else is refused');
    }
    works(hooks($registry), 'and it goes on');
};

finish();
