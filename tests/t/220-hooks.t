# Hooks run when something has happened: each of them, in order, with what strangers chose as mere words;
# one that misbehaves hurts nobody.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Manual;
use Registry::Process;
use Registry::Tools;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

# A directory that hooks may write to.
sub open_dir () { my $dir = tempdir(); chmod 0777, $dir; return $dir }

sub hook_file ($dir, $name, $text) {
    mkdir "$dir/hooks";
    spew("$dir/hooks/$name.new", $text);
    chmod 0755, "$dir/hooks/$name.new";
    rename "$dir/hooks/$name.new", "$dir/hooks/$name" or die $!;
    return;
}

sub lines_of ($path) { return split /\n/, slurp($path) }

# The v1 way: JSON, layer, checksum, tag.
sub push_v1 ($registry, $name, $tag) {
    my $id    = unpack 'H*', random_bytes(32);
    my $json  = json_of({ id => $id, created => '2014-05-13T00:00:00Z', os => 'linux' });
    my $layer = "\0" x 1024;
    my %type  = (headers => { 'Content-Type' => 'application/json' });
    my @steps = (
        [ "/v1/repositories/$name/", '[]', %type ],
        [ "/v1/images/$id/json", $json, %type ],
        [ "/v1/images/$id/layer", $layer ],
        [ "/v1/images/$id/checksum", '', headers => { 'X-Docker-Checksum-Payload' => digest("$json\n$layer") } ],
        [ "/v1/repositories/$name/tags/$tag", qq("$id"), %type ],
        [ "/v1/repositories/$name/images", '[]', %type ],
    );
    for my $step (@steps) {
        my ($path, $body, %o) = @$step;
        my $response = $registry->put($path, body => $body, %o);
        return ($id, undef, $response) if $response->status >= 300;
    }
    return ($id, digest("$json\n$layer"), undef);
}

subtest "README's example" => sub {
    my ($script) = join("\n", readme_examples('Hooks')) =~ /--on-tag "(.*)"$/m;
    my $registry = Registry->start(args => [ '--on-tag', $script =~ s/\\\$/\$/gr ]);
    my $layer    = random_bytes(100);
    my ($config, $manifest) = $registry->image_of([$layer]);
    is_status($registry->push_image('library/hello', 'latest', [$layer]), 201, 'a push of today');
    my $id   = digest($config) =~ s/^sha256://r;
    my $id12 = substr $id, 0, 12;
    ok(wait_for(10, sub { $registry->output =~ /please deploy/ }), 'runs it');
    my $chain = digest($layer) =~ s/^sha256://r;
    my @want = (
        substr($chain, 0, 12) . ' - added layer (' . digest($layer) . ')', "$id12 - added image data",
        "$id12 - added manifest library/hello\@" . digest($manifest), "$id12 - tagged with hello",
        "$id12 - executing ./hooks/tag $id hello", "$id12 - ./hooks/tag: image $id was tagged with hello - please deploy",
    );
    is_deeply([ grep { !/^Server|indexed layer data/ } split /\n/, $registry->output ], \@want, 'the log has each line');
    is_status($registry->delete('/v2/library/hello/manifests/latest'), 202, 'the tag goes');
    ok(wait_for(10, sub { $registry->output =~ /^\Q$id12\E - untagged with hello$/m }), '... which is told without a hook');

    my ($v1, $checksum, $failed) = push_v1($registry, 'foo/bar', 'v1');
    ok(!$failed, 'a push of then') or diag($failed->describe);
    my $v12 = substr $v1, 0, 12;
    ok(wait_for(10, sub { $registry->output =~ /image \Q$v1\E was tagged with foo\/bar:v1 - please deploy/ }), 'runs it as well');
    my @v1 = (
        "$v12 - added image data", "$v12 - added layer ($checksum)", "$v12 - verified using client checksum",
        "$v12 - tagged with foo/bar:v1", "$v12 - executing ./hooks/tag $v1 foo/bar:v1",
        "$v12 - ./hooks/tag: image $v1 was tagged with foo/bar:v1 - please deploy",
    );
    my @got = grep { /^\Q$v12\E/ && !/indexed layer data/ } split /\n/, $registry->output;
    is_deeply([ sort @got ], [ sort @v1 ], 'with the lines of the original');
};

subtest 'files' => sub {
    my $seen     = open_dir();
    my $registry = Registry->start(args => [ '--user', 'ann:secret' ], user => 'ann:secret', env => { SEEN => $seen, SECRET_FD => 'x' });
    my $script   = "#!/bin/bash\n" . q{
        n=$(basename "$0"); env | grep ^REGISTRY_ | sort >"$SEEN/$n.env"; printf '%s\n' "$@" >"$SEEN/$n.args"
        pwd >"$SEEN/$n.pwd"; cat >"$SEEN/$n.stdin"; cut -d' ' -f5 /proc/$$/stat >"$SEEN/$n.group"; echo $$ >"$SEEN/$n.pid"
        touch "$SEEN/$n.done"
    };
    hook_file($registry->dir, $_, $script) for qw(image layer tag untag manifest delete);
    my $layer = random_bytes(100);
    my ($config, $manifest) = $registry->image_of([$layer]);
    is_status($registry->push_image('library/app', 'v1', [$layer]), 201, 'a push');
    is_status($registry->delete('/v2/library/app/manifests/' . digest($manifest)), 202, 'a deletion');
    ok(wait_for(20, sub { 6 == grep { -e "$seen/$_.done" } qw(image layer tag untag manifest delete) }), 'run all of them');
    my $id   = digest($config) =~ s/.*://r;
    my %args = (
        image => "$id\n", layer => digest($layer) =~ s/.*://r . "\n", tag => "$id\napp:v1\n", untag => "$id\napp:v1\n",
        manifest => "$id\nlibrary/app\@" . digest($manifest) . "\n", delete => "$id\nlibrary/app\@" . digest($manifest) . "\n",
    );
    is(slurp("$seen/$_.args"), $args{$_}, "arguments of $_") for sort keys %args;
    my %env = map { split /=/, $_, 2 } lines_of("$seen/tag.env");
    delete $env{REGISTRY_SERVER};    # the test's own
    like(delete $env{REGISTRY_TIME}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'the time');
    like(delete $env{REGISTRY_EVENT_ID}, qr/^\d+$/, 'the number of the event');
    is_deeply(\%env, {
        REGISTRY_EVENT => 'tag', REGISTRY_REPOSITORY => 'library/app', REGISTRY_TAG => 'v1', REGISTRY_DIGEST => digest($manifest),
        REGISTRY_OLD_DIGEST => '', REGISTRY_MEDIA_TYPE => $Registry::Client::TYPE{manifest}, REGISTRY_ACTOR => 'ann',
    }, 'the rest of the environment');
    is(slurp("$seen/tag.pwd"),   $registry->dir . "\n", 'in the data directory');
    is(slurp("$seen/tag.stdin"), '',                    'with nothing on stdin');
    is(slurp("$seen/tag.group"), slurp("$seen/tag.pid"), 'in a process group of its own');
};

subtest 'nothing of ours' => sub {
    my $registry = Registry->start(args => [
        '--on-image', 'exec ls /proc/self/fd', '--on-manifest', 'exec grep -hE "Sig(Ign|Blk)" /proc/self/status', '--on-tag', 'echo $PATH' ]);
    is_status($registry->push_image('a/b', 'v1', [ random_bytes(10) ]), 201, 'a push');
    ok(wait_for(10, sub { $registry->output =~ m{hooks/tag: } }), 'runs hooks');
    my ($output, %said) = $registry->output;
    push @{ $said{$1} }, $2 while $output =~ m{ - \./hooks/(\w+): (.*)}g;
    is_deeply($said{image}, [ 0 .. 3 ], 'no descriptor but 0 to 2 (and that of ls)');
    is_deeply($said{manifest}, [ "SigBlk:\t" . '0' x 16, "SigIgn:\t" . '0' x 16 ], 'no signal is blocked or ignored');
    like($said{tag}[0], qr{/bin}, 'there is a PATH');
};

subtest 'values that a shell would run' => sub {
    my $seen     = open_dir();
    my $user     = q{x"'`touch pwned`$(touch pwned);&|<>} . "\\ *";
    my $registry = Registry->start(env => { SEEN => $seen }, user => "$user:secret",
        args => [ '--user', "$user:secret", '--on-tag', q{printf '%s' "$REGISTRY_ACTOR" >"$SEEN/actor"; echo "by $REGISTRY_ACTOR"} ]);
    is_status($registry->push_image('a/b', 'v1', [ random_bytes(10) ]), 201, 'a push by somebody with an odd name');
    ok(wait_for(10, sub { $registry->output =~ /tag: by / }), 'runs the hook');
    is(slurp("$seen/actor"), $user, 'the name arrives as it is');
    ok(!-e $registry->dir . '/pwned', '... and was not run');
};

subtest 'order' => sub {
    my $seen     = open_dir();
    my $registry = Registry->start(env => { SEEN => $seen }, args => [
        '--hook-jobs', '2',
        '--on-tag', q{[ "$REGISTRY_REPOSITORY" != slow/one ] || sleep 1; echo "$REGISTRY_TAG" >>"$SEEN/${REGISTRY_REPOSITORY//\//-}"} ]);
    my @tags = map { "t$_" } 1 .. 40;
    for my $name ('slow/one', 'quick/one') {
        my ($config, $manifest) = $registry->push_parts($name);
        ok(defined $registry->push_tags($name, $manifest, @tags), "$name: forty tags");
    }
    ok(wait_for(30, sub { lines_of("$seen/quick-one") == 40 }), 'a slow repository holds up no other');
    cmp_ok(scalar lines_of("$seen/slow-one"), '<', 40, '... while its own go on');
    is_deeply([ lines_of("$seen/quick-one") ], \@tags, 'they come in order');
    my @slow = lines_of("$seen/slow-one");
    is_deeply(\@slow, [ @tags[ 0 .. $#slow ] ], '... the slow ones, too');
};

subtest 'not more at once than --hook-jobs' => sub {
    my $seen     = open_dir();
    my $registry = Registry->start(env => { SEEN => $seen }, args => [
        '--hook-jobs', '1', '--on-tag', q{mkdir "$SEEN/lock" || echo two >>"$SEEN/two"; sleep 0.05; rmdir "$SEEN/lock"; echo x >>"$SEEN/done"} ]);
    for my $name (map { "r$_/x" } 1 .. 4) {
        my ($config, $manifest) = $registry->push_parts($name);
        $registry->push_tags($name, $manifest, 1 .. 5);
    }
    ok(wait_for(30, sub { lines_of("$seen/done") == 20 }), 'twenty hooks of four repositories');
    ok(!-e "$seen/two", 'never were two at once');
};

subtest 'at once' => sub {
    my $registry = Registry->start(args => [ '--on-tag', 'echo here is $2' ]);
    my ($config, $manifest) = $registry->push_parts('a/b');
    my $begun = time;
    for my $i (1 .. 20) {
        $registry->push_tags('a/b', $manifest, "t$i");
        wait_for(10, sub { $registry->output =~ m{here is a/b:t$i\n} }) or last;
    }
    # Whoever looked once a second would need about 20.
    cmp_ok(time - $begun, '<', 8, 'twenty pushes, each waiting for its hook');
    note(sprintf '%.2f s', time - $begun);
};

subtest 'failing' => sub {
    my $seen     = open_dir();
    my $registry = Registry->start(env => { SEEN => $seen }, args => [
        '--hook-retries', '1', '--on-tag',
        q{echo "$REGISTRY_TAG" >>"$SEEN/tries"; [ "$REGISTRY_TAG" != never ] || { echo "no $REGISTRY_TAG"; exit 3; }; [ "$REGISTRY_TAG" != once ] || mkdir "$SEEN/once"} ]);
    # "once" fails the second time, so it goes right away; "never" does never.
    my ($config, $manifest) = $registry->push_parts('a/b');
    $registry->push_tags('a/b', $manifest, 'never', 'once');
    my ($other_config, $other) = $registry->push_parts('c/d');
    $registry->push_tags('c/d', $other, 'well');
    ok(wait_for(20, sub { grep { $_ eq 'well' } lines_of("$seen/tries") }), 'another repository goes on');
    ok(wait_for(20, sub { grep { $_ eq 'once' } lines_of("$seen/tries") }), 'the next of the same goes on in the end');
    is(scalar(grep { $_ eq 'never' } lines_of("$seen/tries")), 2, '... after one retry');
    my @told = $registry->logged(qr/msg="hook failed"/);
    is(scalar @told, 2, 'each failure is logged');
    like($told[1], qr/hook=tag .*repository=a\/b tries=2 why="no never"/, '... with its last line');
    is(scalar $registry->logged(qr/failed too often/), 1, 'that it is given up, too');
};

subtest 'failing without end' => sub {
    my $registry = Registry->start(args => [ '--hook-retries', '0', '--on-tag', 'exit 3' ]);
    my ($config, $manifest) = $registry->push_parts('a/b');
    $registry->push_tags('a/b', $manifest, map { "t$_" } 1 .. 150);
    ok(wait_for(100, sub { Registry->try([ 'hooks', '--dir', $registry->dir ])->{out} =~ /^\d+\tfailed\t.*:t150\t/m }), '150 hooks failed');
    my @told = $registry->logged(qr/a hook failed too often|hook failed/);
    cmp_ok(scalar @told, '>=', 80, '... which is logged about a hundred times');
    cmp_ok(scalar @told, '<', 200, '... and then now and then');
};

subtest 'a time limit' => sub {
    my $seen     = open_dir();
    my $registry = Registry->start(env => { SEEN => $seen }, args => [
        '--hook-timeout', '1s', '--hook-retries', '0', '--on-tag',
        q{trap '' TERM; sleep 1000 & echo $! >"$SEEN/child"; echo $$ >"$SEEN/hook"; sleep 1000} ]);
    is_status($registry->push_image('a/b', 'v1', [ random_bytes(10) ]), 201, 'a hook that hangs, and minds no SIGTERM');
    ok(wait_for(20, sub { $registry->logged(qr/hook failed.*its time limit/) }), 'is ended');
    my ($hook, $child) = map { slurp("$seen/$_") + 0 } qw(hook child);
    ok($hook > 1 && !alive($hook), '... is gone');
    ok(wait_for(5, sub { $child > 1 && !alive($child) }), '... with what it has started');
};

subtest 'forks' => sub {
    my $seen     = open_dir();
    my $registry = Registry->start(env => { SEEN => $seen }, args => [
        '--on-tag', q{sleep 1000 & echo $! >"$SEEN/child"; echo "started $REGISTRY_TAG"} ]);
    my ($config, $manifest) = $registry->push_parts('a/b');
    $registry->push_tags('a/b', $manifest, 'one', 'two');
    ok(wait_for(20, sub { $registry->output =~ /started two/ }), 'a child that has our pipe holds up nothing');
    my $child = slurp("$seen/child") + 0;
    ok(wait_for(5, sub { $child > 1 && !alive($child) }), '... and is ended with its hook');
};

subtest 'a gigabyte' => sub {
    my $bytes    = Registry->sanitized ? 100 << 20 : 1 << 30;
    my $seen     = open_dir();
    my $registry = Registry->start(env => { SEEN => $seen }, args => [
        '--on-tag', "yes 'nothing worth reading' | head -c $bytes; touch \"\$SEEN/tag\"",
        '--on-manifest', "head -c $bytes /dev/zero; echo; echo the end" ]);
    my ($herald) = $registry->children('herald');
    my $begin    = time;
    is_status($registry->push_image('a/b', 'v1', [ random_bytes(10) ]), 201, 'hooks that print one, in lines and without');
    is_status($registry->push_image('c/d', 'v1', [ random_bytes(10) ]), 201, 'the registry goes on');
    ok(wait_for(120, sub { -e "$seen/tag" && $registry->output =~ /manifest: the end/ }), 'they come to their end');
    ok(wait_for(10, sub { $registry->output =~ /\.\/hooks\/tag: \(\d+ lines left out\)/ }), 'that lines are left out is said');
    # Of each of the four hooks 64 KiB, and 8 KiB a second from then on.
    cmp_ok(length $registry->output, '<', 4 * ((64 << 10) + (8 << 10) * (time - $begin + 1)) + (16 << 10), 'little of it is in the log');
    like($registry->output, qr/\.\/hooks\/manifest: \?{900,1000} \(\d+ bytes left out\)/, '... and bytes of a line');
    cmp_ok(memory_peak_kb($herald), '<', Registry->sanitized ? 400_000 : 40_000, 'in little memory');
};

subtest 'stopping' => sub {
    my $seen     = open_dir();
    my @hook     = ('--on-tag', q{echo "begin $REGISTRY_TAG" >>"$SEEN/log"; sleep "${REGISTRY_TAG#s}"; echo "end $REGISTRY_TAG" >>"$SEEN/log"});
    my %o        = (env => { SEEN => $seen });
    my $registry = Registry->start(%o, args => \@hook);
    is_status($registry->push_image("r$_/x", "s$_", [ random_bytes(10) ]), 201, "a hook of $_ s") for 1, 20;
    ok(wait_for(10, sub { lines_of("$seen/log") == 2 }), 'both run');
    $registry->stop;
    cmp_ok($registry->seconds_to_stop, '<', 10, 'a stop within 10 s');
    is_deeply([ sort { $a cmp $b } lines_of("$seen/log") ], [ 'begin s1', 'begin s20', 'end s1' ], 'the short one came to its end');
    $registry = Registry->start(%o, dir => $registry->dir, args => [ '--on-tag', q{echo "again $REGISTRY_TAG" >>"$SEEN/log"} ]);
    ok(wait_for(10, sub { (lines_of("$seen/log"))[-1] eq 'again s20' }), 'the other one runs again');
    is(scalar(grep { $_ eq 'again s1' } lines_of("$seen/log")), 0, '... and only that');
};

finish();
