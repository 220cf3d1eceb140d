# Rules of retention: what they don't keep goes, what a kept tag needs stays, and nothing that is pushed or pulled meanwhile is lost.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Process;
use Registry::Tools;
use JSON::PP qw(decode_json);
use Test::More;
use Time::HiRes qw(sleep time);

my $layer = random_bytes(500);

sub tags_of ($registry, $name) { return $registry->get("/v2/$name/tags/list")->json->{tags} // [] }

# A file of rules that the user of the server can read.
sub rules_file ($text) {
    my $dir = tempdir();
    chmod 0755, $dir;
    spew("$dir/rules", $text);
    chmod 0644, "$dir/rules";
    return "$dir/rules";
}

sub retain ($registry, @args) { return Registry->try([ 'retain', '--dir', $registry->dir, @args ]) }

# The names that a run deletes, or would delete.
sub deleted ($ran) { return [ map { (split /\t/)[1] } grep { /^delete\t/ } split /\n/, $ran->{out} ] }

# An image of its own; its digest.
sub push_tag ($registry, $name, $tag, $note = $tag) {
    my ($config, $manifest) = $registry->image_of([$layer], note => $note);
    $registry->push_blob($name, $_) for $layer, $config;
    is_status($registry->put_manifest($name, $tag, $manifest), 201, "$name:$tag is pushed");
    return digest($manifest);
}

subtest 'the rules decide' => sub {
    my $rules = rules_file("# teams\nteam/** keep last 2, match v*\nscratch/* keep younger 1d\nci/* keep match none\nprod/** keep all\n");
    my $registry = Registry->start(args => [ '--retain', $rules, '--lease', '1s' ]);
    push_tag($registry, 'team/app', $_) for qw(v1 b1 b2 b3 v0);
    push_tag($registry, $_, 'old') for qw(scratch/x ci/x prod/app free/app);
    my $dry = retain($registry, '--dry-run');
    works($dry, 'a dry run');
    is_deeply(deleted($dry), [qw(ci/x:old team/app:b1 team/app:b2)], '... tells what would go');
    like($dry->{out}, qr/^would delete 3 tags, 4 stay$/m, '... and how many');
    is_deeply([ sort @{ tags_of($registry, 'team/app') } ], [qw(b1 b2 b3 v0 v1)], 'it deletes nothing');

    my $all = retain($registry, '--dry-run', '-v', '--json');
    my %why = map { ("$_->{repository}:$_->{tag}" => "$_->{action}: $_->{why}") } @{ decode_json($all->{out}) };
    is_deeply(\%why, {
        'ci/x:old' => 'delete: line 4: no clause keeps it', 'free/app:' => 'keep: no rule', 'prod/app:' => 'keep: line 5: all',
        'scratch/x:old' => 'keep: line 3: younger',
        'team/app:b1' => 'delete: line 2: no clause keeps it', 'team/app:b2' => 'delete: line 2: no clause keeps it',
        'team/app:b3' => 'keep: line 2: last 2', 'team/app:v0' => 'keep: line 2: last 2', 'team/app:v1' => 'keep: line 2: match v*',
    }, '-v tells of all tags why, as JSON');

    my $ran = retain($registry);
    works($ran, 'the real run');
    is_deeply(deleted($ran), deleted($dry), '... deletes the same');
    is_deeply([ sort @{ tags_of($registry, 'team/app') } ], [qw(b3 v0 v1)], '... and no others');
    is_deeply(tags_of($registry, 'ci/x'), [], '... also all of them');
    is_deeply(deleted(retain($registry)), [], 'then there is nothing left to do');
    like(Registry->try([ 'tag', 'history', 'team/app:b1', '--dir', $registry->dir ])->{out}, qr/\bcommand:/, 'the history tells who did it');
    works(Registry->try([ 'tag', 'restore', 'team/app:b1', '--dir', $registry->dir ]), 'a tag that went can be put back');
    is_deeply(deleted(retain($registry)), ['team/app:b3'], '... and counts as pushed now');
    is_deeply(deleted(retain($registry, '--dry-run', '--retain', rules_file("free/** keep match x\n"))), ['free/app:old'], 'other rules can be tried');
    $registry->stop;
    is_deeply(deleted(retain($registry, '--dry-run', '--retain', $rules)), [], 'without a server');
    spew($registry->dir . '/auth/retain', "free/** keep match x\n");
    is_deeply(deleted(retain($registry)), ['free/app:old'], '... by auth/retain');
    is_refused(retain($registry, 'x'), qr/usage/, 'another argument');
};

subtest 'mistakes' => sub {
    my $dir = tempdir() . '/data';
    my $ran = Registry->try([ '--listen', '127.0.0.1', '--port', '0', '--dir', $dir, '--retain', my $rules = rules_file("\nteam/** keep last ten\n") ]);
    is($ran->{exit}, 2, 'a server with wrong rules does not start');
    like($ran->{err}, qr/\Q$rules\E:2: last "ten": expected a number from 1 to 10000$/m, '... and says where');
    my $registry = Registry->start(expected => qr/rules of retention stay/);
    my $reads    = sub ($text, $pattern) {
        my $before = () = $registry->logged($pattern);
        spew($registry->dir . '/auth/retain', $text);
        kill 'HUP', $registry->pid;
        return ok(wait_for(10, sub { $before < (() = $registry->logged($pattern)) }), "SIGHUP: $pattern");
    };
    is_refused(retain($registry), qr/there are no rules/, 'without rules there is nothing to run');
    push_tag($registry, 'a/b', $_) for qw(one two);
    $reads->("a/* keep match one\n", qr/rules of retention read again.*rules=1/);
    is_deeply(deleted(retain($registry, '--dry-run')), ['a/b:two'], 'the new rules count');
    $reads->("a/* keep match two\nnonsense\n", qr/rules of retention stay as they were.*auth\/retain:2: expected PATTERN keep/);
    is_deeply(deleted(retain($registry, '--dry-run')), ['a/b:two'], 'the old rules stay');
    unlink $registry->dir . '/auth/retain';
    kill 'HUP', $registry->pid;
    ok(wait_for(10, sub { $registry->logged(qr/rules of retention read again.*rules=0/) }), 'rules can be removed');
    is_refused(retain($registry), qr/there are no rules/, '... and are gone');
    $ran = retain($registry, '--dry-run', '--retain', rules_file("a keep last 0\n"));
    is($ran->{exit}, 2, 'the command checks, too');
    like($ran->{err}, qr/:1: last "0": expected a number/, '... and says where');
};

subtest 'signatures, indexes, referrers' => sub {
    my $registry = Registry->start(args => [ '--lease', '1s', '--history-keep', '0s', '--retain', rules_file("** keep match keep*\n") ]);
    my %digest   = map { $_ => push_tag($registry, 'a/b', $_) } qw(keep1 old1 part1 old2);
    my $name     = sub ($tag, $suffix) { return $digest{$tag} =~ s/:/-/r . $suffix };
    my %signature = map { $_ => push_tag($registry, 'a/b', $_) }
        $name->('keep1', '.sig'), $name->('keep1', ''), $name->('old1', '.sig'), $name->('part1', '.att'), 'sha256-' . '0' x 64 . '.sig';
    my $circle = "sha256-" . ($signature{ $name->('old1', '.sig') } =~ s/.*://r) . '.sig';
    $signature{$circle} = push_tag($registry, 'a/b', $circle);
    my $index = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index},
        manifests => [ { %{ $registry->descriptor('manifest', ($registry->image_of([$layer], note => 'part1'))[1]) } } ] });
    is_status($registry->put_manifest('a/b', 'keep-index', $index), 201, 'an index');
    my ($empty) = ('{}');
    $registry->push_blob('a/b', $empty);
    my $referrer = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest}, artifactType => 'application/x.y',
        config => $registry->descriptor('application/vnd.oci.empty.v1+json', $empty), layers => [ $registry->descriptor('application/vnd.oci.empty.v1+json', $empty) ],
        subject => $registry->descriptor('manifest', ($registry->image_of([$layer], note => 'keep1'))[1]) });
    is_status($registry->put_manifest('a/b', 'sbom', $referrer), 201, 'a referrer');
    my $of_referrer = digest($referrer) =~ s/:/-/r . '.sig';
    push_tag($registry, 'a/b', $of_referrer);
    sleep 1.2;    # the lease of the signature without an image
    my $dry = retain($registry, '--dry-run');
    my @go  = sort map { "a/b:$_" } qw(old1 part1 old2 sbom), $name->('old1', '.sig'), $circle, 'sha256-' . '0' x 64 . '.sig';
    is_deeply([ sort @{ deleted($dry) } ], \@go, 'signatures go with their images');
    is_deeply([ sort @{ deleted(retain($registry)) } ], \@go, '... really');
    is_deeply([ sort @{ tags_of($registry, 'a/b') } ], [ sort 'keep1', 'keep-index', $name->('keep1', '.sig'), $name->('keep1', ''), $name->('part1', '.att'), $of_referrer ], 'the others stay');
    works(Registry->try([ 'gc', '--untagged', '0s', '--dir', $registry->dir ]), 'manifests that nothing reaches are collected');
    is_status($registry->get("/v2/a/b/manifests/$digest{$_}"), 404, "... $_ is gone") for qw(old1 old2);
    is_status($registry->get("/v2/a/b/manifests/$digest{part1}"), 200, 'the part of an index is there');
    is(scalar @{ $registry->get("/v2/a/b/referrers/$digest{keep1}")->json->{manifests} }, 1, 'and so is the referrer');
    my $new = 'sha256-' . '1' x 64 . '.sig';
    push_tag($registry, 'a/b', $new);
    is_deeply([ grep { /\Q$new\E/ } @{ deleted(retain($registry, '--dry-run')) } ], [], 'a signature may come before its image')
        or diag('the machine is slow');
};

# A large manifest, whose bytes are in a file, tells to which image it belongs.
subtest 'a manifest that can not be read' => sub {
    my $registry = Registry->start(args => [ '--lease', '1s', '--scrub-days', '0' ], expected => qr/is damaged on the disk|retention leaves a tag/);
    push_tag($registry, 'a/b', $_) for 'keep1', 'old1';
    $registry->push_blob('a/b', '{}');
    my ($manifest, $subject) = map { ($registry->image_of([$layer], note => $_))[1] } 'x', 'keep1';
    my $referrer = JSON::PP->new->decode($manifest);
    $referrer->{subject} = $registry->descriptor('manifest', $subject);
    $referrer->{annotations} = { text => unpack 'H*', random_bytes(60_000) };
    $referrer = JSON::PP->new->canonical->encode($referrer);
    my $digest = digest($referrer);
    $registry->push_blob('a/b', ($registry->image_of([$layer], note => 'x'))[0]);
    is_status($registry->put_manifest('a/b', $digest, $referrer), 201, 'a referrer of an image that stays');
    my $tag = $digest =~ s/:/-/r . '.sig';
    push_tag($registry, 'a/b', $tag);
    my ($file) = map { $registry->dir . "/$_" } $registry->blob_files($digest);
    my $rules  = rules_file("** keep match keep*\n");
    my $whole  = slurp($file);
    sleep 1.2;    # its lease
    my $seen = retain($registry, '--dry-run', '-v', '--retain', $rules);
    works($seen, 'a dry run');
    like($seen->{out}, qr/^keep\ta\/b:\Q$tag\E\t.*\tline 1: belongs to an image that stays$/m, '... keeps its signature');
    for my $damage ([ 'is lost' => sub { unlink $file } ], [ 'is cut off' => sub { truncate $file, 1000 } ],
        [ 'has no subject any more' => sub { spew($file, $whole =~ s/"subject"/"subjact"/r) } ]) {
        my ($what, $do) = @$damage;
        chmod 0644, $file;
        $do->();
        for my $run ([ 'would delete', '--dry-run' ], ['deleted']) {
            my ($done, @option) = @$run;
            my $ran = retain($registry, @option, '--retain', $rules);
            is($ran->{exit}, 1, "its file $what: retain @option");
            like($ran->{out}, qr/^keep\ta\/b:\Q$tag\E\t.*\tline 1: could not be judged: the manifest $digest is damaged on the registry's disk, so it isn't known to which image it belongs$/m, '... its signature stays, and the reason is said');
            like($ran->{out}, qr/^$done 1 tag,/m, '... and the others are judged');
        }
        is_deeply(tags_of($registry, 'a/b'), [ 'keep1', $tag ], '... and is there');
        push_tag($registry, 'a/b', 'old1');
        spew($file, $whole);
        chmod 0644, $file;
    }
    my ($dir, @args) = ($registry->dir, '--lease', '1s', '--scrub-days', '0', '--retain', $rules, '--retain-every', '1s');
    $registry->stop;
    unlink $file;
    $registry = Registry->start(dir => $dir, args => [@args], expected => qr/is damaged on the disk|retention leaves a tag/);
    ok(wait_for(20, sub { $registry->logged(qr/retention leaves a tag" repository=a\/b tag=\Q$tag\E why="line 1: could not be judged: the manifest $digest is damaged/) }), 'the log of the server says it');
    ok(wait_for(20, sub { "@{ tags_of($registry, 'a/b') }" eq "keep1 $tag" }), '... and it deletes the others');
};

subtest 'what is pushed meanwhile stays' => sub {
    my $seen = tempdir();
    chmod 0777, $seen;
    # The pre-hook stands between the decision and the deletion.
    my $hook     = q{echo "$REGISTRY_TAG $REGISTRY_ACTOR" >>"$SEEN/asked"; case $REGISTRY_TAG in held) echo "it is held"; exit 1;; again|moved) until [ -e "$SEEN/$REGISTRY_TAG" ]; do sleep 0.02; done;; esac};
    my $registry = Registry->start(env => { SEEN => $seen }, args => [ '--on-pre-delete', $hook, '--on-untag', 'echo "$REGISTRY_TAG by $REGISTRY_ACTOR"', '--retain', rules_file("** keep match v*\n") ]);
    push_tag($registry, 'a/b', $_) for qw(again held moved old v1);
    my $pid = fork // die;
    if (!$pid) { my $ran = retain($registry); spew("$seen/out", "$ran->{exit}\n$ran->{out}$ran->{err}"); POSIX::_exit(0) }
    ok(wait_for(20, sub { -e "$seen/asked" && slurp("$seen/asked") =~ /^again/m }), 'the hook is asked about one');
    push_tag($registry, 'a/b', 'again');
    spew("$seen/again", '');
    ok(wait_for(20, sub { slurp("$seen/asked") =~ /^moved/m }), '... and about another');
    push_tag($registry, 'a/b', 'moved', 'another image');
    spew("$seen/moved", '');
    waitpid $pid, 0;
    is_deeply([ sort @{ tags_of($registry, 'a/b') } ], [qw(again held moved v1)], 'only the last one goes');
    my $said = slurp("$seen/out");
    like($said, qr/^1\n/, 'the exit code tells that one was refused');
    like($said, qr/^keep\ta\/b:held\t.*it is held$/m, '... and why');
    like($said, qr/^delete\ta\/b:old\t/m, '... and what went');
    unlike($said, qr/^delete\t(?!a\/b:old)/m, '... alone');
    like(slurp("$seen/asked"), qr/^old command:\S+$/m, 'the hook knows the actor');
    ok(wait_for(10, sub { $registry->output =~ /old by command:/ }), 'and so does the hook of the event');
};

subtest 'the server does it by itself, also if it is killed meanwhile' => sub {
    my $hook     = '[ $REGISTRY_TAG != t001 ] || { echo "not this one"; exit 1; }';
    my $registry = Registry->start(args => [ '--retain-every', '1s', '--retain', rules_file("r/* keep last 3\ns/* keep match x\n"), '--on-pre-delete', $hook ], expected => qr/process died|recover/);
    my @names = map { "r/$_" } 1 .. 3;
    for my $name (@names) {
        my ($config, $manifest) = $registry->push_parts($name);
        $registry->push_tags($name, $manifest, map { sprintf 't%03d', $_ } 1 .. 30);
    }
    push_tag($registry, 's/a', $_) for qw(t001 t002 x);
    for (1 .. 4) {
        my ($keeper) = $registry->children('keeper');
        kill 'KILL', $keeper if $keeper;
        sleep 0.3;
    }
    my $done = wait_for(60, sub { !grep { @{ tags_of($registry, $_) } != 4 } @names });
    ok($done, 'three tags stay in each repository, and the one that the hook holds');
    is_deeply(tags_of($registry, $_), [qw(t001 t028 t029 t030)], "... the last ones: $_") for @names;
    ok(wait_for(20, sub { @{ tags_of($registry, 's/a') } == 2 }), 'other rules for others');
    ok($registry->logged(qr/retention leaves a tag.*not this one/), 'the log tells what stays');
    ok(wait_for(10, sub { $registry->logged(qr/retention has looked at all repositories/) }), 'a round ends');
};

# The looks come within the time of the rule after the pulls, or all of it is tried again.
subtest 'pulls' => sub {
    my $seconds = 5;
    my @steps   = (
        [ 'what was pulled stays', sub ($registry) { } ],
        [ '... when the keeper dies, too', sub ($registry) { kill 'KILL', $registry->children('keeper') } ],
        [ '... and after the server has stopped', sub ($registry) { $registry->stop } ],
    );
    for my $try (1 .. 5) {
        my $registry = Registry->start(args => [ '--retain', my $rules = rules_file("** keep pulled ${seconds}s\n") ], expected => qr/process died|recover/);
        my %digest = map { $_ => push_tag($registry, 'a/b', $_) } qw(by-digest by-head by-tag by-v1 never);
        sleep $seconds + 1.1;
        my $begin = time;
        is_status($registry->get('/v2/a/b/manifests/by-tag'), 200, 'a pull by tag');
        is_status($registry->get("/v2/a/b/manifests/$digest{'by-digest'}"), 200, 'a pull by digest');
        is_status($registry->get('/v1/repositories/a/b/tags/by-v1'), 200, 'a pull by the first API');
        is_status($registry->get('/v1/repositories/a/b/tags'), 200, 'a list of tags');
        is_status($registry->head('/v2/a/b/manifests/by-head'), 200, 'a HEAD');
        my @ran;
        for my $step (@steps) {
            $step->[1]->($registry);
            push @ran, retain($registry, '--dry-run', '--retain', $rules);
        }
        next if time - $begin > $seconds - 1 && $try < 5;
        is_deeply(deleted($ran[$_]), [qw(a/b:by-head a/b:never)], $steps[$_][0]) for 0 .. $#steps;
        last;
    }
};

finish();
